//go:build !linux

package vfs

import "os"

func (f osFile) Sync() error { return f.File.Sync() }

func (f osFile) Preallocate(size int64) error {
	have, err := f.Size()
	if err != nil || have >= size {
		return err
	}
	return f.Truncate(size)
}

func (osFile) StartWriteback(int64, int64) {}
func (osFile) AwaitWriteback(int64, int64) {}

// flock: no portable advisory lock in the standard library; the data directory is then not guarded.
func flock(*os.File) error { return nil }
