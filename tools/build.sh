#!/bin/sh
# Builds the Go package $1 as $2. A first build compiles Pulumi's SDKs for minutes, so it says so, and shows the number
# of compiled packages on a terminal; go itself prints nothing.
set -eu
# The compiler's garbage collector takes a quarter of its CPU time at Go's default of 100, for 1.1 GB less memory.
export GOGC="${GOGC:-400}"
link="-ldflags=-s -w" # no debug information, which is a sixth of the linker's time and a third of the file
if [ ! -e "$2" ]; then
	echo "==> compiling $2 and the Pulumi SDKs that it uses: two to four minutes on two cores the first time" >&2
	total="$(GOMAXPROCS=16 go list -deps "$1" | wc -l)" # go downloads as many modules at a time
	if [ -t 2 ]; then
		go build -v "$link" -o "$2" "$1" 2>&1 | awk -v total="$((total))" '
			/^[a-z].*\// { printf "\r    %d packages compiled, %d at most", ++n, total; fflush(); next }
			{ print }
			END { if (n) print "" }' >&2
	fi
fi
go build "$link" -o "$2" "$1"
