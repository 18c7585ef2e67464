// Command bare is the baseline of the benchmark: a minimal net/http server.
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
