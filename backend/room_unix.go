//go:build unix

package backend

import "golang.org/x/sys/unix"

// free is how many bytes the file system of a directory has for us; -1 if that is not known.
func free(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return -1
	}
	return int64(min(uint64(st.Bavail), 1<<40)) * int64(st.Bsize)
}
