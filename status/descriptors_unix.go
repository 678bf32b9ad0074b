//go:build unix

package status

import (
	"os"
	"syscall"
)

// descriptors returns how many file descriptors the process has open and may have; -1 where it cannot be told.
func descriptors() (open, most int64) {
	open, most = -1, -1
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		f, err := os.Open(dir)
		if err != nil {
			continue
		}
		names, err := f.Readdirnames(-1)
		_ = f.Close()
		if err == nil {
			open = int64(len(names)) - 1 // the directory itself was open
			break
		}
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		most = int64(limit.Cur)
	}
	return open, most
}
