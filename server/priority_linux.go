package server

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// stepBack gives the calling goroutine a thread of its own that the kernel runs only when no other wants the processor as
// much. The thread ends with the goroutine. It is an optimisation: failures do not matter.
func stepBack() {
	runtime.LockOSThread() // never unlocked: the thread must not go back to other goroutines
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 15)
}
