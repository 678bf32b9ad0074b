package vfs

import (
	"io"
	"io/fs"
)

// Op names an operation for a [Faulty] file system.
type Op string

// Operations on the file system and on its files.
const (
	OpCreate      Op = "create"
	OpOpen        Op = "open"
	OpRename      Op = "rename" // name is the new one
	OpRemove      Op = "remove"
	OpReadDir     Op = "readdir"
	OpMkdirAll    Op = "mkdir"
	OpStat        Op = "stat"
	OpSyncDir     Op = "syncdir"
	OpLock        Op = "lock"
	OpRead        Op = "read"
	OpWrite       Op = "write"
	OpSync        Op = "sync"
	OpTruncate    Op = "truncate"
	OpPreallocate Op = "preallocate"
	OpClose       Op = "close"
)

// Fault makes an operation fail.
type Fault struct {
	Err   error
	Short int // of a write: how many bytes reach the file all the same
}

// Faulty is a file system some of whose operations fail.
type Faulty struct {
	base   FS
	inject func(op Op, name string) *Fault
}

// NewFaulty returns base with faults: inject is asked before every operation and returns nil to let it through. It is
// called by whoever calls the file system, at once if they do.
func NewFaulty(base FS, inject func(op Op, name string) *Fault) *Faulty {
	return &Faulty{base: base, inject: inject}
}

func (f *Faulty) fail(op Op, name string) error {
	if fault := f.inject(op, name); fault != nil {
		return &fs.PathError{Op: string(op), Path: name, Err: fault.Err}
	}
	return nil
}

func (f *Faulty) file(op Op, name string, open func(string) (File, error)) (File, error) {
	if err := f.fail(op, name); err != nil {
		return nil, err
	}
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: file, fs: f}, nil
}

// Create implements [FS].
func (f *Faulty) Create(name string) (File, error) { return f.file(OpCreate, name, f.base.Create) }

// Open implements [FS].
func (f *Faulty) Open(name string) (File, error) { return f.file(OpOpen, name, f.base.Open) }

// OpenWrite implements [FS].
func (f *Faulty) OpenWrite(name string) (File, error) { return f.file(OpOpen, name, f.base.OpenWrite) }

// Rename implements [FS].
func (f *Faulty) Rename(oldname, newname string) error {
	if err := f.fail(OpRename, newname); err != nil {
		return err
	}
	return f.base.Rename(oldname, newname)
}

// Remove implements [FS].
func (f *Faulty) Remove(name string) error {
	if err := f.fail(OpRemove, name); err != nil {
		return err
	}
	return f.base.Remove(name)
}

// ReadDir implements [FS].
func (f *Faulty) ReadDir(name string) ([]string, error) {
	if err := f.fail(OpReadDir, name); err != nil {
		return nil, err
	}
	return f.base.ReadDir(name)
}

// MkdirAll implements [FS].
func (f *Faulty) MkdirAll(name string) error {
	if err := f.fail(OpMkdirAll, name); err != nil {
		return err
	}
	return f.base.MkdirAll(name)
}

// Stat implements [FS].
func (f *Faulty) Stat(name string) (fs.FileInfo, error) {
	if err := f.fail(OpStat, name); err != nil {
		return nil, err
	}
	return f.base.Stat(name)
}

// SyncDir implements [FS].
func (f *Faulty) SyncDir(name string) error {
	if err := f.fail(OpSyncDir, name); err != nil {
		return err
	}
	return f.base.SyncDir(name)
}

// Lock implements [FS].
func (f *Faulty) Lock(name string) (io.Closer, error) {
	if err := f.fail(OpLock, name); err != nil {
		return nil, err
	}
	return f.base.Lock(name)
}

type faultyFile struct {
	File
	fs *Faulty
}

func (f *faultyFile) Read(b []byte) (int, error) {
	if err := f.fs.fail(OpRead, f.Name()); err != nil {
		return 0, err
	}
	return f.File.Read(b)
}

func (f *faultyFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.fs.fail(OpRead, f.Name()); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, off)
}

func (f *faultyFile) write(b []byte, write func([]byte) (int, error)) (int, error) {
	fault := f.fs.inject(OpWrite, f.Name())
	if fault == nil {
		return write(b)
	}
	n, err := write(b[:min(fault.Short, len(b))])
	if err == nil {
		err = &fs.PathError{Op: string(OpWrite), Path: f.Name(), Err: fault.Err}
	}
	return n, err
}

func (f *faultyFile) Write(b []byte) (int, error) { return f.write(b, f.File.Write) }

func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	return f.write(b, func(b []byte) (int, error) { return f.File.WriteAt(b, off) })
}

func (f *faultyFile) Sync() error {
	if err := f.fs.fail(OpSync, f.Name()); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.fs.fail(OpTruncate, f.Name()); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Preallocate(size int64) error {
	if err := f.fs.fail(OpPreallocate, f.Name()); err != nil {
		return err
	}
	return f.File.Preallocate(size)
}

func (f *faultyFile) Close() error {
	// Closed in any case, or the test leaks it.
	err := f.File.Close()
	if fault := f.fs.fail(OpClose, f.Name()); fault != nil {
		return fault
	}
	return err
}
