package vfs

import (
	"errors"
)

// ErrReadOnly is returned by what would add to a read-only file system.
var ErrReadOnly = errors.New("the file system is for looking only")

// ReadOnly shows a file system that stays as it is: what would tidy it up (removing files, cutting off their ends, syncing) is left
// undone without an error, what would add to it fails with [ErrReadOnly]. Locks are taken as they are underneath.
func ReadOnly(fs FS) FS { return readOnlyFS{fs} }

type readOnlyFS struct{ FS }

func (readOnlyFS) Create(string) (File, error)           { return nil, ErrReadOnly }
func (readOnlyFS) Rename(string, string) error           { return ErrReadOnly }
func (readOnlyFS) MkdirAll(string) error                 { return ErrReadOnly }
func (readOnlyFS) Remove(string) error                   { return nil }
func (readOnlyFS) SyncDir(string) error                  { return nil }
func (f readOnlyFS) OpenWrite(name string) (File, error) { return f.Open(name) }

func (f readOnlyFS) Open(name string) (File, error) {
	file, err := f.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return readOnlyFile{file}, nil
}

type readOnlyFile struct{ File }

func (readOnlyFile) Write([]byte) (int, error)          { return 0, ErrReadOnly }
func (readOnlyFile) WriteAt([]byte, int64) (int, error) { return 0, ErrReadOnly }
func (readOnlyFile) Preallocate(int64) error            { return ErrReadOnly }
func (readOnlyFile) Truncate(int64) error               { return nil }
func (readOnlyFile) Sync() error                        { return nil }
func (readOnlyFile) StartWriteback(int64, int64)        {}
func (readOnlyFile) AwaitWriteback(int64, int64)        {}
