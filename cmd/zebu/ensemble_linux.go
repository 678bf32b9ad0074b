package main

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// confine binds a server to this process, and to it alone: the kernel ends the server when this process dies without
// cleaning up, and Ctrl-C does not reach it, so that this process says who stops and when.
func confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// terminate asks a server to stop, one that was suspended too.
func terminate(p *os.Process) {
	_ = p.Signal(syscall.SIGTERM) // fails only if the process is gone
	_ = p.Signal(syscall.SIGCONT)
}

// allowBackground keeps the shell's job control from suspending this process for reading commands while it runs in the
// background: the read fails, and there are no commands.
func allowBackground() { signal.Ignore(syscall.SIGTTIN) }
