package vfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"
)

// ErrCrashed is what everything on a [Crashing] file system returns from the moment of a crash until it is up again.
var ErrCrashed = errors.New("the machine has crashed")

// Crashing is a file system in memory that forgets what was not synced when it crashes: of the changes of a directory since
// its last SyncDir a suffix, of the contents of a file since its last Sync all, a suffix (the last write that is kept may be
// torn between two sectors), or any sectors. Which of these, the choice function says. Directories themselves do not get lost. It is for one
// goroutine.
type Crashing struct {
	choice func(n int) int // in [0, n)
	dirs   map[string]*crashDir
	locks  map[string]bool
	life   int // counts crashes: what was opened in an earlier one is of no use
	fuse   int // changes until the next crash, -1 for none
}

// crashDir is a directory.
type crashDir struct {
	files   map[string]*crashInode
	changes []dirChange // since SyncDir
}

// dirChange says that name had the file before; a rename is two of them.
type dirChange struct {
	name   string
	before *crashInode // nil if there was none
	joined bool        // stands or falls with the one before it
}

// crashInode is a file's contents.
type crashInode struct {
	data    []byte
	changes []fileChange // since Sync
	kept    []byte       // what these replaced, and by what
}

// fileChange replaced before, as far as the file went, by after at an offset. The file was size bytes long before, and resize after it.
type fileChange struct {
	off           int64
	before, after []byte
	size, resize  int64
}

// sector is the least that reaches a disk as a whole.
const sector = 512

// NewCrashing returns an empty file system. choice decides what a crash does.
func NewCrashing(choice func(n int) int) *Crashing {
	return &Crashing{choice: choice, dirs: map[string]*crashDir{"/": {files: map[string]*crashInode{}}}, locks: map[string]bool{}, fuse: -1}
}

// CrashAfter lets n more changes happen, and then nothing any more until Crash or Kill.
func (c *Crashing) CrashAfter(n int) { c.fuse = n }

// Crash loses what is not synced, and is up again.
func (c *Crashing) Crash() {
	c.Kill()
	var inodes []*crashInode
	for _, name := range slices.Sorted(maps.Keys(c.dirs)) {
		d := c.dirs[name]
		d.crash(c.choice)
		for _, f := range slices.Sorted(maps.Keys(d.files)) {
			inodes = append(inodes, d.files[f])
		}
	}
	for _, i := range inodes {
		i.crash(c.choice)
	}
}

// Kill ends the processes and loses nothing, and is up again.
func (c *Crashing) Kill() {
	c.life++
	c.fuse = -1
	clear(c.locks)
}

// Corrupt flips a bit of a file at rest. It reports whether there is such a file and offset.
func (c *Crashing) Corrupt(name string, off int64) bool {
	i := c.lookup(name)
	if i == nil || off >= int64(len(i.data)) {
		return false
	}
	i.data[off] ^= 1 << c.choice(8)
	return true
}

// Files lists the files in a directory, in order, even on a machine that is off.
func (c *Crashing) Files(dir string) []string {
	if d := c.dir(dir); d != nil {
		return slices.Sorted(maps.Keys(d.files))
	}
	return nil
}

// Length is the length of a file in bytes, 0 if there is none.
func (c *Crashing) Length(name string) int {
	if i := c.lookup(name); i != nil {
		return len(i.data)
	}
	return 0
}

func (d *crashDir) crash(choice func(int) int) {
	keep := len(d.changes)
	if keep > 0 && choice(2) == 0 {
		keep = choice(keep + 1)
	}
	for keep < len(d.changes) && d.changes[keep].joined {
		keep++
	}
	for k := len(d.changes) - 1; k >= keep; k-- {
		if ch := d.changes[k]; ch.before == nil {
			delete(d.files, ch.name)
		} else {
			d.files[ch.name] = ch.before
		}
	}
	d.changes = nil
}

func (d *crashDir) set(name string, i *crashInode, joined bool) {
	d.changes = append(d.changes, dirChange{name, d.files[name], joined})
	if i == nil {
		delete(d.files, name)
	} else {
		d.files[name] = i
	}
}

// keep copies bytes for as long as the changes are remembered.
func (i *crashInode) keep(b []byte) []byte {
	n := len(i.kept)
	i.kept = append(i.kept, b...)
	return i.kept[n:len(i.kept):len(i.kept)]
}

// settle forgets the changes: they are on the disk, or lost.
func (i *crashInode) settle() {
	clear(i.changes)
	i.changes, i.kept = i.changes[:0], i.kept[:0]
}

// crash decides about each change since the last sync.
func (i *crashInode) crash(choice func(int) int) {
	if len(i.changes) == 0 {
		return
	}
	defer i.settle()
	changes := i.changes
	how := choice(4)
	if how == 0 { // all of it was on the disk already
		return
	}
	for k := len(changes) - 1; k >= 0; k-- {
		ch := &changes[k]
		i.resize(max(ch.size, ch.off+int64(len(ch.before))))
		copy(i.data[ch.off:], ch.before)
		i.resize(ch.size)
	}
	switch how {
	case 1:
	case 2:
		n := choice(len(changes) + 1)
		for k := range n {
			i.redo(&changes[k], len(changes[k].after))
		}
		if n < len(changes) && len(changes[n].after) > 0 {
			ch := &changes[n]
			to := (ch.off + int64(choice(len(ch.after)))) / sector * sector
			i.redo(ch, int(max(0, to-ch.off)))
		}
	default:
		for k := range changes {
			i.redoSectors(&changes[k], choice)
		}
	}
}

// redo carries out a change again, of a write the first n bytes.
func (i *crashInode) redo(ch *fileChange, n int) {
	if n == 0 && len(ch.after) > 0 {
		return
	}
	i.resize(max(ch.resize, ch.off+int64(n)))
	if ch.after == nil {
		i.resize(ch.resize)
	}
	copy(i.data[ch.off:], ch.after[:n])
}

// redoSectors carries out a change again, but for some sectors.
func (i *crashInode) redoSectors(ch *fileChange, choice func(int) int) {
	if ch.after == nil {
		i.resize(ch.resize)
		return
	}
	i.resize(max(int64(len(i.data)), ch.off+int64(len(ch.after))))
	for at := int64(0); at < int64(len(ch.after)); {
		n := min(sector-(ch.off+at)%sector, int64(len(ch.after))-at)
		if choice(2) == 0 {
			copy(i.data[ch.off+at:], ch.after[at:at+n])
		}
		at += n
	}
}

func (i *crashInode) resize(size int64) {
	if n := size - int64(len(i.data)); n > 0 {
		i.data = append(i.data, make([]byte, n)...)
	}
	i.data = i.data[:size]
}

// write changes the contents.
func (i *crashInode) write(b []byte, off int64) {
	size := int64(len(i.data))
	end := off + int64(len(b))
	i.resize(max(size, end))
	i.changes = append(i.changes, fileChange{
		off: off, before: i.keep(i.data[off:max(off, min(size, end))]), after: i.keep(b), size: size, resize: max(size, end),
	})
	copy(i.data[off:], b)
}

// truncate changes the length.
func (i *crashInode) truncate(to int64) {
	size := int64(len(i.data))
	ch := fileChange{off: min(size, to), size: size, resize: to}
	if to < size {
		ch.before = i.keep(i.data[to:])
	}
	i.changes = append(i.changes, ch)
	i.resize(to)
}

func pathError(op Op, name string, err error) error {
	return &fs.PathError{Op: string(op), Path: name, Err: err}
}

// change counts a change, and says whether it still happens.
func (c *Crashing) change(op Op, name string) error {
	if c.fuse == 0 {
		return pathError(op, name, ErrCrashed)
	}
	if c.fuse > 0 {
		c.fuse--
	}
	return nil
}

func (c *Crashing) dir(name string) *crashDir { return c.dirs[filepath.Clean(name)] }

func (c *Crashing) lookup(name string) *crashInode {
	if d := c.dir(filepath.Dir(name)); d != nil {
		return d.files[filepath.Base(name)]
	}
	return nil
}

// Create implements [FS].
func (c *Crashing) Create(name string) (File, error) {
	if err := c.change(OpCreate, name); err != nil {
		return nil, err
	}
	d := c.dir(filepath.Dir(name))
	if d == nil {
		return nil, pathError(OpCreate, name, fs.ErrNotExist)
	}
	i := d.files[filepath.Base(name)]
	if i == nil {
		i = &crashInode{}
		d.set(filepath.Base(name), i, false)
	} else {
		i.truncate(0)
	}
	return &crashFile{fs: c, inode: i, name: name, life: c.life}, nil
}

// Open implements [FS].
func (c *Crashing) Open(name string) (File, error) {
	if c.fuse == 0 {
		return nil, pathError(OpOpen, name, ErrCrashed)
	}
	i := c.lookup(name)
	if i == nil {
		return nil, pathError(OpOpen, name, fs.ErrNotExist)
	}
	return &crashFile{fs: c, inode: i, name: name, life: c.life}, nil
}

// OpenWrite implements [FS].
func (c *Crashing) OpenWrite(name string) (File, error) { return c.Open(name) }

// Rename implements [FS]. Both names must be in the same directory.
func (c *Crashing) Rename(oldname, newname string) error {
	if err := c.change(OpRename, newname); err != nil {
		return err
	}
	i := c.lookup(oldname)
	if i == nil || filepath.Dir(oldname) != filepath.Dir(newname) {
		return pathError(OpRename, oldname, fs.ErrNotExist)
	}
	d := c.dir(filepath.Dir(oldname))
	d.set(filepath.Base(newname), i, false)
	d.set(filepath.Base(oldname), nil, true)
	return nil
}

// Remove implements [FS].
func (c *Crashing) Remove(name string) error {
	if err := c.change(OpRemove, name); err != nil {
		return err
	}
	if c.lookup(name) == nil {
		return pathError(OpRemove, name, fs.ErrNotExist)
	}
	c.dir(filepath.Dir(name)).set(filepath.Base(name), nil, false)
	return nil
}

// ReadDir implements [FS].
func (c *Crashing) ReadDir(name string) ([]string, error) {
	d := c.dir(name)
	switch {
	case c.fuse == 0:
		return nil, pathError(OpReadDir, name, ErrCrashed)
	case d == nil:
		return nil, pathError(OpReadDir, name, fs.ErrNotExist)
	}
	return slices.Sorted(maps.Keys(d.files)), nil
}

// MkdirAll implements [FS]. The directories are durable at once.
func (c *Crashing) MkdirAll(name string) error {
	if err := c.change(OpMkdirAll, name); err != nil {
		return err
	}
	for name = filepath.Clean(name); c.dirs[name] == nil; name = filepath.Dir(name) {
		c.dirs[name] = &crashDir{files: map[string]*crashInode{}}
	}
	return nil
}

// Stat implements [FS].
func (c *Crashing) Stat(name string) (fs.FileInfo, error) {
	if c.fuse == 0 {
		return nil, pathError(OpStat, name, ErrCrashed)
	}
	if c.dir(name) != nil {
		return crashInfo{name: filepath.Base(name), dir: true}, nil
	}
	i := c.lookup(name)
	if i == nil {
		return nil, pathError(OpStat, name, fs.ErrNotExist)
	}
	return crashInfo{name: filepath.Base(name), size: int64(len(i.data))}, nil
}

// SyncDir implements [FS].
func (c *Crashing) SyncDir(name string) error {
	if err := c.change(OpSyncDir, name); err != nil {
		return err
	}
	d := c.dir(name)
	if d == nil {
		return pathError(OpSyncDir, name, fs.ErrNotExist)
	}
	d.changes = nil
	return nil
}

// Lock implements [FS].
func (c *Crashing) Lock(name string) (io.Closer, error) {
	if c.fuse == 0 {
		return nil, pathError(OpLock, name, ErrCrashed)
	}
	if c.locks[name] {
		return nil, pathError(OpLock, name, ErrLocked)
	}
	c.locks[name] = true
	return crashLock{c, name, c.life}, nil
}

type crashLock struct {
	fs   *Crashing
	name string
	life int
}

func (l crashLock) Close() error {
	if l.life == l.fs.life {
		delete(l.fs.locks, l.name)
	}
	return nil
}

type crashInfo struct {
	name string
	size int64
	dir  bool
}

func (i crashInfo) Name() string     { return i.name }
func (i crashInfo) Size() int64      { return i.size }
func (crashInfo) ModTime() time.Time { return time.Time{} }
func (i crashInfo) IsDir() bool      { return i.dir }
func (crashInfo) Sys() any           { return nil }
func (i crashInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// crashFile is an open file.
type crashFile struct {
	fs    *Crashing
	inode *crashInode
	name  string
	life  int
	pos   int64
}

func (f *crashFile) usable(op Op) error {
	if f.life != f.fs.life || f.fs.fuse == 0 {
		return pathError(op, f.name, ErrCrashed)
	}
	return nil
}

func (f *crashFile) change(op Op) error {
	if err := f.usable(op); err != nil {
		return err
	}
	return f.fs.change(op, f.name)
}

func (f *crashFile) Read(b []byte) (int, error) {
	n, err := f.ReadAt(b, f.pos)
	f.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *crashFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.usable(OpRead); err != nil {
		return 0, err
	}
	if off >= int64(len(f.inode.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.inode.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *crashFile) Write(b []byte) (int, error) {
	n, err := f.WriteAt(b, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *crashFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.change(OpWrite); err != nil {
		return 0, err
	}
	f.inode.write(b, off)
	return len(b), nil
}

func (f *crashFile) Sync() error {
	if err := f.change(OpSync); err != nil {
		return err
	}
	f.inode.settle()
	return nil
}

func (f *crashFile) Truncate(size int64) error {
	if err := f.change(OpTruncate); err != nil {
		return err
	}
	f.inode.truncate(size)
	return nil
}

func (f *crashFile) Preallocate(size int64) error {
	if err := f.change(OpPreallocate); err != nil {
		return err
	}
	if size > int64(len(f.inode.data)) {
		f.inode.truncate(size)
	}
	return nil
}

func (f *crashFile) StartWriteback(int64, int64) {}
func (f *crashFile) AwaitWriteback(int64, int64) {}
func (f *crashFile) Name() string                { return f.name }

func (f *crashFile) Size() (int64, error) {
	if err := f.usable(OpRead); err != nil {
		return 0, err
	}
	return int64(len(f.inode.data)), nil
}

func (f *crashFile) Close() error { return nil }
