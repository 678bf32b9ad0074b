package backend

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"zebu/internal/vfs"
	"zebu/mvcc"
)

// state is what the file STATE says: how far the directory is known to be on disk. It is there from before Badger has
// written anything, and replaced whole.
type state struct {
	clearing bool   // all records are being removed
	seq      uint64 // the last batch on disk
	version  uint64 // and the version that Badger gave its last write
	base     uint64 // the version that the first write follows, if there are no tables
}

// guardName is the file that is locked while the directory is open: Badger has its own lock only when we have prepared the directory.
const guardName = "GUARD"

const (
	stateName = "STATE"
	stateSign = "zebu\x00\x00\x00\x01"
	stateLen  = len(stateSign) + 4*8 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readState reads the file; found is false if there is none.
func readState(dir string) (s state, found bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, stateName))
	if errors.Is(err, os.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	if len(b) != stateLen || string(b[:len(stateSign)]) != stateSign ||
		crc32.Checksum(b[:stateLen-4], castagnoli) != binary.BigEndian.Uint32(b[stateLen-4:]) {
		return s, false, fmt.Errorf("%w: file %s", mvcc.ErrDamaged, stateName)
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(b[len(stateSign)+8*i:]) }
	return state{at(0) != 0, at(1), at(2), at(3)}, true, nil
}

// write replaces the file, and waits until it is on disk.
func (s state) write(dir string) error {
	b := []byte(stateSign)
	clearing := uint64(0)
	if s.clearing {
		clearing = 1
	}
	for _, v := range []uint64{clearing, s.seq, s.version, s.base} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	path := filepath.Join(dir, stateName)
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return vfs.OS.SyncDir(dir)
}
