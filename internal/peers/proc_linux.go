package peers

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the server when the test process dies without cleaning up, by a test timeout say.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
