// Package vfs is the little of a file system that storage needs, so that a test can put a disk of its own behind it:
// one that fails on demand ([Faulty]), or one that forgets what was not synced when it "crashes".
//
// Nothing here is cached or buffered: a method is one system call, or says what else it does.
package vfs

import (
	"io"
	"io/fs"
)

// FS is a file system. Names are slash separated paths as package path/filepath makes them. Errors wrap those of package
// io/fs (fs.ErrNotExist, fs.ErrExist), whatever the implementation.
type FS interface {
	// Create makes a file, or empties the one that is there, for reading and writing. The entry in the directory is
	// durable only after SyncDir.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// OpenWrite opens a file that exists for reading and writing.
	OpenWrite(name string) (File, error)
	// Rename replaces newname by oldname, atomically; durable only after SyncDir.
	Rename(oldname, newname string) error
	// Remove deletes a file; durable only after SyncDir.
	Remove(name string) error
	// ReadDir lists the names in a directory, sorted.
	ReadDir(name string) ([]string, error)
	// MkdirAll makes a directory and the parents that it lacks.
	MkdirAll(name string) error
	// Stat describes a file or directory.
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the entries of a directory durable: creations, renames and removals in it.
	SyncDir(name string) error
	// Lock takes an exclusive lock on a file, which it makes if need be, and holds it until the result is closed or the
	// process ends. It fails at once, with ErrLocked, if another holds it.
	Lock(name string) (io.Closer, error)
}

// File is an open file. Write and Read continue where the last one of either ended; ReadAt and WriteAt do not move that
// position. A File may be used by one writer and any number of ReadAt callers at once.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Closer

	// Sync makes the contents durable, and of the metadata what is needed to read them back (fdatasync).
	Sync() error
	// Truncate sets the length; what is added reads as zeros.
	Truncate(size int64) error
	// Preallocate makes the file size bytes long, if it is shorter, and sees that the space is there: what is added reads
	// as zeros, and overwriting it does not run out of space where the file system can promise that.
	Preallocate(size int64) error
	// StartWriteback asks for what was written so far to go to the disk soon, so that a later Sync of this or another
	// file has less to wait for. It promises nothing.
	StartWriteback(off, n int64)
	// AwaitWriteback waits until what StartWriteback asked for in a range has been done. It promises nothing: only Sync
	// makes data durable.
	AwaitWriteback(off, n int64)
	// Size returns the length.
	Size() (int64, error)
	// Name returns the name that the file was opened with.
	Name() string
}
