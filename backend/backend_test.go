package backend

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
)

// TestMain is also the process that tests kill.
func TestMain(m *testing.M) {
	switch dir := os.Getenv("BACKEND_TEST_DIR"); os.Getenv("BACKEND_TEST_ROLE") {
	case "writer":
		writeForever(dir)
	case "syncer":
		syncForever(dir)
	case "idle":
		idle(dir)
	default:
		os.Exit(m.Run())
	}
}

// request is the one at a zxid: any history of the tests is a prefix of one infinite history.
func request(z proto.Zxid) mvcc.Message {
	g := rand.New(rand.NewPCG(uint64(z), 7))
	key := func() []byte { return fmt.Appendf(nil, "key%03d", g.IntN(400)) }
	put := func() *pb.PutRequest {
		return &pb.PutRequest{Key: key(), Value: bytes.Repeat([]byte{byte(z)}, g.IntN(3000)), Lease: int64(g.IntN(2)) * int64(z-z%100)}
	}
	switch {
	case z%100 == 0:
		return &pb.LeaseGrantRequest{ID: int64(z), TTL: 60}
	case z%100 == 77:
		return &pb.LeaseRevokeRequest{ID: int64(z-z%100) - 100}
	case z%250 == 249:
		return &pb.CompactionRequest{Revision: int64(z) / 2}
	case z%10 == 3:
		return &pb.DeleteRangeRequest{Key: key(), RangeEnd: key()}
	case z%10 == 4:
		var ops []*pb.RequestOp
		for range g.IntN(40) {
			ops = append(ops, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put()}})
		}
		return &pb.TxnRequest{Success: ops}
	case z%10 == 5:
		return &pb.LeaseCheckpointRequest{Checkpoints: []*pb.LeaseCheckpoint{{ID: int64(z - z%100), Remaining_TTL: g.Int64N(60)}}}
	case z%40 == 21: // large for a small memtable
		return &pb.PutRequest{Key: fmt.Appendf(nil, "large%d", g.IntN(4)), Value: bytes.Repeat([]byte{byte(z)}, 50_000+g.IntN(200_000))}
	}
	return put()
}

func apply(s *mvcc.Store, z proto.Zxid, m mvcc.Message) error {
	if mvcc.Check(m, mvcc.MaxTxnOps) != nil {
		return nil
	}
	record, err := mvcc.NewRecord(m).Encode()
	if err == nil {
		_, err = s.Apply(z, record)
	}
	return err
}

// advance applies the history up to a zxid, as a server does: compaction goes on along the way. commit may be nil.
func advance(s *mvcc.Store, to proto.Zxid, commit func(*mvcc.Batch) error) error {
	for z := s.Applied() + 1; z <= to; z++ {
		if err := apply(s, z, request(z)); err != nil {
			return err
		}
		s.Advance(z)
		s.CompactStep(50)
		if z%3 != 0 && z != to {
			continue
		}
		b := s.Take()
		if b == nil && z == to {
			b = s.TakeMark()
		}
		if b != nil {
			if err := commit(b); err != nil {
				return err
			}
			s.Stored(b)
		}
	}
	return nil
}

// must opens a directory and its key space.
func must(t *testing.T, dir string, memTable int64) (*Backend, *mvcc.Store) {
	t.Helper()
	b, err := open(dir, nil, memTable)
	if err != nil {
		t.Fatal(err)
	}
	s, err := mvcc.Open(b, mvcc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b, s
}

// compare holds a key space against the same history in memory.
func compare(t *testing.T, s *mvcc.Store) {
	t.Helper()
	mem := &mvcc.Memory{}
	model, err := mvcc.Open(mem, mvcc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := advance(model, s.Applied(), func(b *mvcc.Batch) error { mem.Commit(b); return nil }); err != nil {
		t.Fatal(err)
	}
	want, err := model.HashKV(0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.HashKV(0)
	if err != nil || got != want {
		t.Fatalf("at %v: hash %+v, %v, want %+v", s.Applied(), got, err, want)
	}
	if got, want := fmt.Sprint(s.Leases()), fmt.Sprint(model.Leases()); got != want {
		t.Fatalf("at %v: leases %v, want %v", s.Applied(), got, want)
	}
	for _, l := range s.Leases() {
		if got, want := fmt.Sprint(s.LeaseKeys(l.ID)), fmt.Sprint(model.LeaseKeys(l.ID)); got != want {
			t.Fatalf("at %v: lease %d has %v, want %v", s.Applied(), l.ID, got, want)
		}
	}
}

func TestReopen(t *testing.T) {
	dir := ramDir(t)
	for end := proto.Zxid(200); end <= 1000; end += 200 {
		b, s := must(t, dir, 4<<20)
		if s.Applied() != end-200 {
			t.Fatalf("opened at %v", s.Applied())
		}
		if err := advance(s, end, b.Commit); err != nil {
			t.Fatal(err)
		}
		compare(t, s)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// writeForever is the process to be killed: it prints each zxid that it has committed.
func writeForever(dir string) {
	b, err := open(dir, nil, 1<<20)
	if err == nil {
		var s *mvcc.Store
		if s, err = mvcc.Open(b, mvcc.Options{}); err == nil {
			err = advance(s, 1<<40, func(batch *mvcc.Batch) error {
				if err := b.Commit(batch); err != nil {
					return err
				}
				_, err := fmt.Println(int64(batch.Meta.Applied))
				return err
			})
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func child(t *testing.T, role, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd, lines, _ := childWithInput(t, role, dir)
	return cmd, lines
}

func childWithInput(t *testing.T, role, dir string) (*exec.Cmd, *bufio.Scanner, io.Writer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BACKEND_TEST_ROLE="+role, "BACKEND_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out), in
}

// TestKill kills a writing process at random times: nothing that was committed is lost, and nothing is half there.
func TestKill(t *testing.T) {
	dir := ramDir(t)
	g := rand.New(rand.NewPCG(1, 2))
	var end proto.Zxid
	for range 6 {
		cmd, lines := child(t, "writer", dir)
		var committed int64
		for n := 50 + g.IntN(400); n > 0 && lines.Scan(); n-- {
			var err error
			if committed, err = strconv.ParseInt(lines.Text(), 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		cmd.Process.Kill()
		for lines.Scan() { // what it got out before it died
			if z, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				committed = z
			}
		}
		cmd.Wait()
		b, s := must(t, dir, 1<<20)
		if s.Applied() < proto.Zxid(committed) || s.Applied() <= end {
			t.Fatalf("opened at %v, %d was committed, %v before", s.Applied(), committed, end)
		}
		end = s.Applied()
		compare(t, s)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// snapshot copies the files of an open directory, which is what is left when the process is killed. It begins anew while Badger makes
// or removes some.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	look := func() string {
		entries, err := os.ReadDir(dir)
		manifest, err2 := os.ReadFile(filepath.Join(dir, "MANIFEST"))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(entries, string(manifest))
	}
	for range 1000 {
		before, to := look(), ramDir(t)
		err := os.CopyFS(to, noLock{os.DirFS(dir)})
		if look() != before {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
	t.Fatal("the directory is never at rest")
	return ""
}

// noLock leaves the lock file out.
type noLock struct{ fs.FS }

func (n noLock) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(n.FS, name)
	kept := list[:0]
	for _, e := range list {
		if e.Name() != "LOCK" && e.Name() != guardName {
			kept = append(kept, e)
		}
	}
	return kept, err
}

// cut fills a file with zeros from an offset on, as if that had never reached the disk.
func cut(t *testing.T, path string, from int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(from); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(info.Size()); err != nil {
		t.Fatal(err)
	}
}

func memFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return files
}

// TestLostTail loses the end of the newest memtable's log, wherever: what is left is a state that there was.
func TestLostTail(t *testing.T) {
	b, s := must(t, ramDir(t), 4<<20)
	defer b.Close()
	if err := advance(s, 300, b.Commit); err != nil {
		t.Fatal(err)
	}
	g := rand.New(rand.NewPCG(3, 4))
	var at []proto.Zxid
	for range 12 {
		dir := snapshot(t, b.dir)
		files := memFiles(t, dir)
		cut(t, files[len(files)-1], int64(g.IntN(400_000)))
		b2, s2 := must(t, dir, 4<<20)
		at = append(at, s2.Applied())
		compare(t, s2)
		if err := advance(s2, 310, b2.Commit); err != nil { // the log is replayed
			t.Fatal(err)
		}
		compare(t, s2)
		b2.Close()
	}
	t.Log("left at", at)
}

// TestHole loses the end of an older memtable's log and keeps a newer one: the newer one goes too. The batches renew leases
// only, so that no revision is missing.
func TestHole(t *testing.T) {
	b, s := must(t, ramDir(t), 4<<20)
	const before, lost = 100, 40
	if err := advance(s, before, b.Commit); err != nil {
		t.Fatal(err)
	}
	checkpoint := func(z proto.Zxid) mvcc.Message {
		return &pb.LeaseCheckpointRequest{Checkpoints: []*pb.LeaseCheckpoint{{ID: 100, Remaining_TTL: int64(z)}}}
	}
	write := func(b *Backend, s *mvcc.Store, from, to proto.Zxid) {
		t.Helper()
		for z := from; z <= to; z++ {
			if err := apply(s, z, checkpoint(z)); err != nil {
				t.Fatal(err)
			}
			batch := s.Take()
			if err := b.Commit(batch); err != nil {
				t.Fatal(err)
			}
			s.Stored(batch)
		}
	}
	short := snapshot(t, b.dir)
	write(b, s, before+1, before+lost)
	if z, err := b.Sync(); err != nil || z != before+lost {
		t.Fatal(z, err)
	}
	whole := snapshot(t, b.dir)
	synced := snapshot(t, b.dir)
	// The next memtable's log is what another process writes that has found the one before.
	later := snapshot(t, b.dir)
	b.Close()
	b, s = must(t, later, 4<<20)
	write(b, s, before+lost+1, before+lost+5)
	files := memFiles(t, later)
	next := files[len(files)-1]
	data, err := os.ReadFile(next)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	// The same log, with what was synced torn.
	torn := memFiles(t, synced)[0]
	log, err := os.ReadFile(torn)
	if err != nil {
		t.Fatal(err)
	}
	cut(t, torn, int64(len(bytes.TrimRight(log, "\x00")))-100)
	for dir, at := range map[string]proto.Zxid{whole: before + lost + 5, short: before, synced: 0} {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(next)), data, 0o644); err != nil {
			t.Fatal(err)
		}
		files := memFiles(t, dir)
		got, err := open(dir, nil, 4<<20)
		if at == 0 {
			if !errors.Is(err, mvcc.ErrDamaged) {
				t.Errorf("without what was synced: %v", err)
			}
			if now := memFiles(t, dir); fmt.Sprint(now) != fmt.Sprint(files) {
				t.Errorf("refused, and changed %v to %v", files, now)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		s, err := mvcc.Open(got, mvcc.Options{})
		if err != nil || s.Applied() != at {
			t.Errorf("opened at %v, %v, want %v", s.Applied(), err, at)
		}
		if err := got.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSync syncs, and then the marks need to tell nothing of what was before.
func TestSync(t *testing.T) {
	b, s := must(t, ramDir(t), 4<<20)
	advance(s, 300, b.Commit)
	if z, err := b.Sync(); err != nil || z != 300 {
		t.Fatal(z, err)
	}
	if got, _, err := readState(b.dir); err != nil || got.seq != b.seq || got.version != b.lastVersion() {
		t.Fatal(got, err)
	}
	advance(s, 303, b.Commit)
	if b.synced == 0 || b.synced != b.seq-1 {
		t.Fatalf("synced %d of %d", b.synced, b.seq)
	}
	dir := snapshot(t, b.dir)
	b.Close()
	b, s = must(t, dir, 4<<20)
	compare(t, s)
	seq := b.seq
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got, _, err := readState(dir); err != nil || got.seq != seq {
		t.Fatal(got, err)
	}
	// What Close has made durable is missed.
	tables, err := list(dir, "*.sst")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tables {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(dir, nil); !errors.Is(err, mvcc.ErrDamaged) {
		t.Errorf("without tables: %v", err)
	}
	if err := removeFiles(dir, "MANIFEST"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, nil); !errors.Is(err, mvcc.ErrDamaged) {
		t.Errorf("without all: %v", err)
	}
}

// TestLargeBatch commits more than Badger takes in one write, and finds a part of it alone.
func TestLargeBatch(t *testing.T) {
	b, s := must(t, ramDir(t), 4<<20)
	z := proto.Zxid(0)
	do := func(m mvcc.Message) {
		t.Helper()
		z++
		if err := apply(s, z, m); err != nil {
			t.Fatal(err)
		}
	}
	commit := func() {
		t.Helper()
		batch := s.Take()
		if err := b.Commit(batch); err != nil {
			t.Fatal(err)
		}
		s.Stored(batch)
	}
	for i := range 30000 {
		do(&pb.PutRequest{Key: fmt.Appendf(nil, "%06d", i), Value: []byte("x")})
	}
	do(&pb.PutRequest{Key: []byte("large"), Value: bytes.Repeat([]byte("y"), 1_500_000)})
	commit()
	do(&pb.DeleteRangeRequest{Key: []byte{0}, RangeEnd: []byte{0}})
	batch := s.Take()
	// The crash comes after the first part.
	w := &writeSplitter{db: b.db, limit: 1 << 30}
	for _, op := range batch.Ops[:5000] {
		w.add(op, 0, true)
	}
	if err := w.commit(); err != nil {
		t.Fatal(err)
	}
	dir := snapshot(t, b.dir)
	if err := b.Commit(batch); err != nil {
		t.Fatal(err)
	}
	s.Stored(batch)
	b.Close()
	b, s2 := must(t, dir, 4<<20)
	defer b.Close()
	if s2.Revision() != 30002 || s2.Applied() != z-1 {
		t.Fatalf("revision %d at %v", s2.Revision(), s2.Applied())
	}
	got, err := s2.Range(&pb.RangeRequest{Key: []byte("large")})
	if err != nil || len(got.Kvs[0].Value) != 1_500_000 {
		t.Fatal(err)
	}
}

// TestImage moves a state to another directory, which had one, and cuts the image off.
func TestImage(t *testing.T) {
	b, s := must(t, ramDir(t), 4<<20)
	defer b.Close()
	advance(s, 700, b.Commit)
	view := b.View()
	advance(s, 720, b.Commit)
	var image bytes.Buffer
	if err := mvcc.WriteImage(&image, view); err != nil {
		t.Fatal(err)
	}
	view.Close()
	dir := ramDir(t)
	b2, s2 := must(t, dir, 4<<20)
	advance(s2, 30, b2.Commit)
	if _, err := b2.Import(bytes.NewReader(image.Bytes()[:image.Len()-5])); !errors.Is(err, mvcc.ErrDamaged) {
		t.Fatal(err)
	}
	if _, s2 := mustStore(t, b2); s2.Applied() != 0 {
		t.Fatalf("after an import that failed: %v", s2.Applied())
	}
	meta, err := b2.Import(&image)
	if err != nil || meta.Applied != 700 {
		t.Fatal(meta, err)
	}
	b2.Close()
	b2, s2 = must(t, dir, 4<<20)
	defer b2.Close()
	compare(t, s2)
	advance(s2, 720, b2.Commit)
	compare(t, s2)
}

func mustStore(t *testing.T, b *Backend) (*Backend, *mvcc.Store) {
	t.Helper()
	s, err := mvcc.Open(b, mvcc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b, s
}

// TestCollect overwrites large values, gets their space back, and loses nothing.
func TestCollect(t *testing.T) {
	b, s := must(t, ramDir(t), 8<<20)
	defer func() { b.Close() }()
	z := proto.Zxid(0)
	do := func(m mvcc.Message) {
		t.Helper()
		z++
		if err := apply(s, z, m); err != nil {
			t.Fatal(err)
		}
		for s.CompactStep(100) {
		}
		batch := s.Take()
		if err := b.Commit(batch); err != nil {
			t.Fatal(err)
		}
		s.Stored(batch)
	}
	large := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1_400_000) }
	for i := range 60 {
		do(&pb.PutRequest{Key: []byte("large"), Value: large(i)})
		do(&pb.CompactionRequest{Revision: s.Revision()})
	}
	dir := b.dir
	if err := b.Close(); err != nil { // writes the deletions into tables
		t.Fatal(err)
	}
	b, s = must(t, dir, 8<<20)
	if err := b.Collect(); err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	tables, err := list(dir, "*.sst")
	for _, path := range tables {
		if info, err := os.Stat(path); err == nil {
			sum += info.Size()
		}
	}
	if err != nil || sum > 10*1_400_000 {
		t.Errorf("tables of %d bytes, %v", sum, err)
	}
	got, err := s.Range(&pb.RangeRequest{Key: []byte("large")})
	if err != nil || !bytes.Equal(got.Kvs[0].Value, large(59)) {
		t.Fatal(err)
	}
}

// TestRelease gives the memory of tables back while they are read and written.
func TestRelease(t *testing.T) {
	b, s := must(t, ramDir(t), 1<<20)
	defer b.Close()
	done := make(chan error, 1)
	go func() {
		var err error
		for range 100 {
			err = errors.Join(err, b.Release())
		}
		done <- err
	}()
	if err := advance(s, 2000, b.Commit); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(b.tables()) == 0 {
		t.Error("there are no tables to release")
	}
	if err := b.Release(); err != nil {
		t.Fatal(err)
	}
	compare(t, s)
}
