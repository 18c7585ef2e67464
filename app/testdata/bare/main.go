// Command bare is what the benchmark compares the program with: the least that net/http can do for one answer.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "Hello from container! I have been seen 1234567 times.\n")
	})
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN_ADDR"), answer))
}
