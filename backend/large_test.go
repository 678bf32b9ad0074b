package backend

import (
	"bytes"
	"maps"
	"testing"

	"github.com/dgraph-io/badger/v4"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
)

// ownKeys counts the records of large values.
func ownKeys(t *testing.T, b *Backend) (parts, index int) {
	t.Helper()
	txn := b.db.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if bytes.HasPrefix(it.Item().Key(), indexKey(nil)) {
			index++
		} else if _, ok := partSeq(it.Item().Key()); ok {
			parts++
		}
	}
	return parts, index
}

// TestLargeValues writes, reads, overwrites and deletes values that are kept in parts, among them records that are no changes, and one
// of a batch that deletes it again.
func TestLargeValues(t *testing.T) {
	dir := ramDir(t)
	b, s := must(t, dir, smallMemTable)
	z := proto.Zxid(0)
	do := func(m mvcc.Message, commit bool) {
		t.Helper()
		z++
		if err := apply(s, z, m); err != nil {
			t.Fatal(err)
		}
		if !commit {
			return
		}
		for s.CompactStep(100) {
		}
		batch := s.Take()
		if err := b.Commit(batch); err != nil {
			t.Fatal(err)
		}
		s.Stored(batch)
	}
	value := func(i, n int) []byte { return bytes.Repeat([]byte{byte(i)}, n) }
	size := int(b.db.Opts().MemTableSize / valuePart)
	put := func(i, n int) mvcc.Message { return &pb.PutRequest{Key: []byte("large"), Value: value(i, n)} }
	check := func(i, n, parts int) {
		t.Helper()
		got, err := s.Range(&pb.RangeRequest{Key: []byte("large")})
		if err != nil || !bytes.Equal(got.Kvs[0].Value, value(i, n)) {
			t.Fatal(err)
		}
		if p, index := ownKeys(t, b); p != parts || index != min(parts, 1) {
			t.Fatalf("%d parts, %d in the index", p, index)
		}
	}
	do(put(1, 10*size), true)
	check(1, 10*size, 11) // the record has the key, too
	do(put(2, 5*size), false)
	do(put(3, size/2), false)
	do(&pb.CompactionRequest{Revision: 4}, true)
	check(3, size/2, 0)
	do(put(4, 3*size), false)
	do(put(5, 2*size), false)
	do(&pb.CompactionRequest{Revision: 6}, true)
	check(5, 2*size, 3)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, s = must(t, dir, smallMemTable)
	defer func() { b.Close() }()
	check(5, 2*size, 3)
	// The same for a record that is overwritten in place.
	key := []byte("user")
	before := maps.Clone(b.large)
	for i, n := range []int{3 * size, 10, 2 * size, 4 * size, 0} {
		meta := mvcc.Meta{Applied: z, Revision: s.Revision(), Scheduled: s.Compacted(), Finished: s.Compacted()}
		if err := b.Commit(&mvcc.Batch{Ops: []mvcc.Op{{Key: key, Value: value(i, n), Delete: n == 0}}, Meta: meta}); err != nil {
			t.Fatal(err)
		}
		view := b.View()
		found, err := view.Get(key, func(got []byte) error {
			if !bytes.Equal(got, value(i, n)) {
				t.Errorf("%d bytes of %d", len(got), n)
			}
			return nil
		})
		view.Close()
		if err != nil || found != (n > 0) {
			t.Fatal(found, err)
		}
		want := 3
		if n > size {
			want += n / size
		}
		if parts, _ := ownKeys(t, b); parts != want {
			t.Errorf("%d bytes: %d parts, want %d", n, parts, want)
		}
	}
	if !maps.Equal(b.large, before) {
		t.Errorf("%v, want %v", b.large, before)
	}
}

// TestLargeCutOff finds parts of a value whose batch is not there.
func TestLargeCutOff(t *testing.T) {
	b, s := must(t, ramDir(t), smallMemTable)
	if err := advance(s, 100, b.Commit); err != nil {
		t.Fatal(err)
	}
	before, _ := ownKeys(t, b)
	w := b.writes()
	split := batchSplitter{b: b, w: w, next: large{main: s.Revision() + 1, seq: b.seq + 1, part: 50_000}}
	split.parts(make([]byte, 1_000_000))
	if err := w.commit(); err != nil {
		t.Fatal(err)
	}
	dir := snapshot(t, b.dir)
	b.Close()
	for range 2 {
		b, s = must(t, dir, smallMemTable)
		if parts, _ := ownKeys(t, b); parts != before {
			t.Errorf("%d parts, %d before", parts, before)
		}
		compare(t, s)
		if err := advance(s, s.Applied()+20, b.Commit); err != nil {
			t.Fatal(err)
		}
		compare(t, s)
		before, _ = ownKeys(t, b)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClear finds a directory of which all was to be removed.
func TestClear(t *testing.T) {
	dir := ramDir(t)
	b, s := must(t, dir, smallMemTable)
	if err := advance(s, 500, b.Commit); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	half := snapshot(t, dir)
	cleared := b.state
	cleared.clearing = true
	if err := cleared.write(half); err != nil {
		t.Fatal(err)
	}
	if err := b.clear(); err != nil {
		t.Fatal(err)
	}
	empty := snapshot(t, dir)
	// In the same process versions go on, after a kill and a new start as well.
	if _, s = mustStore(t, b); s.Applied() != 0 {
		t.Fatalf("opened at %v", s.Applied())
	}
	if err := advance(s, 50, b.Commit); err != nil {
		t.Fatal(err)
	}
	begun := snapshot(t, dir)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for dir, at := range map[string]proto.Zxid{half: 0, empty: 0, begun: 50, dir: 50} {
		for i := range proto.Zxid(3) {
			b, s := must(t, dir, smallMemTable)
			if s.Applied() != at+100*i {
				t.Fatalf("opened at %v, want %v", s.Applied(), at+100*i)
			}
			if err := advance(s, at+100*i+100, b.Commit); err != nil {
				t.Fatal(err)
			}
			compare(t, s)
			if i == 1 { // killed
				next := snapshot(t, dir)
				b.Close()
				dir = next
				continue
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
