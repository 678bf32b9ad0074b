//go:build !linux

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// confine has no means here to end a server when this process dies without cleaning up.
func confine(*exec.Cmd) {}

// terminate asks a server to stop, or ends it where processes cannot be asked.
func terminate(p *os.Process) {
	if p.Signal(syscall.SIGTERM) != nil {
		_ = p.Kill() // fails only if the process is gone
	}
}

func allowBackground() {}
