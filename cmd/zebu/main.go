// Command zebu is a coordination server that speaks Apache ZooKeeper's protocols and keeps its files.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := newRootCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "zebu:", err)
		os.Exit(1)
	}
}
