// Command loadgen is the load generator of the benchmarks: a process apart from the servers that it measures.
//
//	loadgen calls  …   many callers, each of which makes one chain of unary calls after another
//	loadgen watch  …   many streams, counted and timed
//	loadgen rest   …   many callers of one address over HTTP
//
// It knows nothing of the contract: requests come encoded from a file, answers are counted and thrown away, so that
// what it costs itself is little and the same for every server.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"calls": runCalls, "watch": runWatch, "rest": runRest}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: loadgen calls|watch|rest [flags]; -h after one lists its flags")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}

// say writes one line of JSON for the parent.
func say(line any) error {
	return json.NewEncoder(os.Stdout).Encode(line)
}
