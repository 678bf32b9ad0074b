package backend

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"google.golang.org/protobuf/proto"

	"zebu/mvcc"
)

// Badger's list of tables, file MANIFEST: manifestSign, which ends with the version of the format, then records that each have the length (4)
// and the CRC-32C (4) of a ManifestChangeSet, and that. It is synced behind each record, before files go away that the record has
// made superfluous: so only the last record may be cut off, and without it all is as it was before.
const manifestSign = "Bdgr\x00\x00\x00\x08"

// readManifest returns the tables that are in place, and up to where the list of them is whole.
func readManifest(dir string) (tables map[uint64]bool, whole, size int64, err error) {
	b, err := os.ReadFile(filepath.Join(dir, badger.ManifestFilename))
	if err != nil {
		return nil, 0, 0, err
	}
	if !bytes.HasPrefix(b, []byte(manifestSign)) {
		return nil, 0, 0, fmt.Errorf("%w: file %s", mvcc.ErrDamaged, badger.ManifestFilename)
	}
	tables = map[uint64]bool{}
	size, whole = int64(len(b)), int64(len(manifestSign))
	for rest := b[len(manifestSign):]; len(rest) >= 8; {
		n := int64(binary.BigEndian.Uint32(rest))
		if n > int64(len(rest))-8 {
			break
		}
		record := rest[8 : 8+n]
		var set pb.ManifestChangeSet
		if crc32.Checksum(record, castagnoli) != binary.BigEndian.Uint32(rest[4:]) || proto.Unmarshal(record, &set) != nil {
			break
		}
		for _, c := range set.GetChanges() {
			if c.GetOp() == pb.ManifestChange_CREATE {
				tables[c.GetId()] = true
			} else {
				delete(tables, c.GetId())
			}
		}
		rest = rest[8+n:]
		whole += 8 + n
	}
	return tables, whole, size, nil
}

// checkTable compares the check sums of a table that was read whole, and returns the highest version in it. Badger itself leaves a
// table out whose index is damaged, and takes a damaged block for the end of its table.
//
// A table is blocks, its index, the index's length (4), a Checksum of the index, the length of that (4). A block ends with a Checksum of
// what is before, and the length of that (4).
func checkTable(table []byte) (version uint64, err error) {
	rest, sum, ok := cutSized(table)
	if ok {
		rest, table, ok = cutSized(rest)
	}
	if !ok || len(table) < 8 || !sumOf(table, sum) {
		return 0, fmt.Errorf("%w: its index", mvcc.ErrDamaged)
	}
	index := fb.GetRootAsTableIndex(table, 0)
	var block fb.BlockOffset
	for i := range index.OffsetsLength() {
		if !index.Offsets(&block, i) {
			return 0, fmt.Errorf("%w: its index", mvcc.ErrDamaged)
		}
		from, n := uint64(block.Offset()), uint64(block.Len())
		if from+n > uint64(len(rest)) {
			return 0, fmt.Errorf("%w: block %d", mvcc.ErrDamaged, i)
		}
		if data, sum, ok := cutSized(rest[from : from+n]); !ok || !sumOf(data, sum) {
			return 0, fmt.Errorf("%w: block %d", mvcc.ErrDamaged, i)
		}
	}
	return index.MaxVersion(), nil
}

// cutSized takes from the end of some bytes what has its length (4) behind it.
func cutSized(b []byte) (before, last []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	b, n := b[:len(b)-4], int64(binary.BigEndian.Uint32(b[len(b)-4:]))
	if n > int64(len(b)) {
		return nil, nil, false
	}
	return b[:int64(len(b))-n], b[int64(len(b))-n:], true
}

// sumOf tells whether an encoded check sum is that of some bytes. It must be encoded as Badger does: Badger knows more ways, which a
// damaged one could look like.
func sumOf(b, sum []byte) bool {
	want, err := proto.Marshal(&pb.Checksum{Algo: pb.Checksum_CRC32C, Sum: uint64(crc32.Checksum(b, castagnoli))})
	return err == nil && bytes.Equal(want, sum)
}

// checkTables checks all tables, and returns the highest version in them.
func checkTables(dir string, tables map[uint64]bool) (version uint64, err error) {
	var buf bytes.Buffer
	for id := range tables {
		f, err := os.Open(tablePath(dir, id))
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w: %w", mvcc.ErrDamaged, err)
		}
		if err != nil {
			return 0, err
		}
		buf.Reset()
		_, err = buf.ReadFrom(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return 0, err
		}
		v, err := checkTable(buf.Bytes())
		if err != nil {
			return 0, fmt.Errorf("table %s: %w", f.Name(), err)
		}
		version = max(version, v)
	}
	return version, nil
}

func tablePath(dir string, id uint64) string { return filepath.Join(dir, fmt.Sprintf("%06d.sst", id)) }
