// Command zebu is a coordination server that speaks Apache ZooKeeper's protocols, keeps its files and reads its
// configuration.
package main

import (
	"errors"
	"fmt"
	"os"
)

// Exit codes of a server, as scripts around ZooKeeper know them (spec 13.8).
const (
	exitUnexpected = 1
	exitInvalid    = 2 // invocation or configuration
	exitDataDir    = 3
	exitAdmin      = 4
	exitTxnLog     = 10 // the log, or the state it leads to, can no longer be trusted
	exitPort       = 14
)

// exitError ends the process with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func main() {
	err := newRootCommand().Execute()
	if err == nil {
		return
	}
	if !errors.Is(err, errTold) {
		fmt.Fprintln(os.Stderr, "zebu:", err)
	}
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitUnexpected
}
