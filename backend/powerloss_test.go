package backend

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"zebu/mvcc"
	"zebu/proto"
)

const smallMemTable = 1 << 20

// syncForever is the process whose machine loses power: it syncs and prints the zxid, commits as many batches as a line says and prints the
// zxid of each, waits for another line, and begins anew.
func syncForever(dir string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	b, err := open(dir, nil, smallMemTable)
	if err != nil {
		fail(err)
	}
	s, err := mvcc.Open(b, mvcc.Options{})
	if err != nil {
		fail(err)
	}
	in := bufio.NewScanner(os.Stdin)
	for {
		z, err := b.Sync()
		if err != nil {
			fail(err)
		}
		fmt.Println("synced", int64(z))
		if !in.Scan() {
			os.Exit(0)
		}
		n, err := strconv.Atoi(in.Text())
		if err != nil {
			fail(err)
		}
		err = advance(s, s.Applied()+proto.Zxid(n), func(batch *mvcc.Batch) error {
			if err := b.Commit(batch); err != nil {
				return err
			}
			_, err := fmt.Println("committed", int64(batch.Meta.Applied))
			return err
		})
		if err != nil {
			fail(err)
		}
		in.Scan()
	}
}

// files is what a directory holds.
type files map[string][]byte

func readFiles(t *testing.T, dir string) files {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := files{}
	for _, e := range entries {
		if e.Name() == "LOCK" || e.Name() == guardName {
			continue
		}
		if all[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// write makes a directory. Pages of zeros take no space.
func (all files) write(t *testing.T, dir string) {
	t.Helper()
	for name, data := range all {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(data); at += page {
			part := data[at:min(at+page, len(data))]
			if !isZero(part) {
				if _, err := f.WriteAt(part, int64(at)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := errors.Join(f.Truncate(int64(len(data))), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

const page = 4096

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// tear is what the disk may have of a file of which it has all of old: of each page the old one or the new one.
func tear(g *rand.Rand, old, now []byte) []byte {
	torn := make([]byte, len(now))
	copy(torn, old)
	likely := []float64{0, 0.03, 0.5, 0.97, 1}[g.IntN(5)]
	for at := 0; at < len(now); at += page {
		if g.Float64() < likely {
			copy(torn[at:min(at+page, len(now))], now[at:])
		}
	}
	return torn
}

// lose is what the disk may have when the power fails: it had all of old when the last Sync returned, and the system has written now
// since, but only what Badger synced is sure to be there.
func lose(g *rand.Rand, t *testing.T, old, now files) files {
	t.Helper()
	left := files{}
	tables := manifestOf(t, now)
	names := slices.Sorted(keysOf(now)) // for the seed's sake
	for _, name := range names {
		data := now[name]
		var id uint64
		_, err := fmt.Sscanf(name, "%d.sst", &id)
		isTable := err == nil && strings.HasSuffix(name, ".sst")
		switch {
		case isTable && tables[id], name == "KEYREGISTRY", name == stateName:
			left[name] = data
		case name == "MANIFEST":
			left[name] = slices.Clone(data)
			if g.IntN(3) == 0 { // the next change was under way
				next := []byte("\x00\x00\x00\x0a\x12\x34\x56\x78\x0a\x08\x08\x7f\x28\x01")
				left[name] = append(left[name], next[:g.IntN(len(next))]...)
				left[name] = append(left[name], make([]byte, g.IntN(2)*g.IntN(20))...)
			}
		case old[name] == nil && g.IntN(6) == 0: // its name was not written
		case old[name] == nil && g.IntN(20) == 0:
			left[name] = nil // nor its size
		default:
			left[name] = tear(g, old[name], data)
		}
	}
	for _, name := range slices.Sorted(keysOf(old)) {
		if _, ok := now[name]; !ok && g.IntN(4) == 0 { // its removal was not written, or that it was emptied
			left[name] = old[name][:len(old[name])*g.IntN(2)]
		}
	}
	if g.IntN(4) == 0 { // a table was under way
		left["099999.sst"] = make([]byte, g.IntN(3)*1000)
	}
	return left
}

func keysOf(all files) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range all {
			if !yield(name) {
				return
			}
		}
	}
}

func manifestOf(t *testing.T, all files) map[uint64]bool {
	t.Helper()
	dir := t.TempDir()
	files{"MANIFEST": all["MANIFEST"]}.write(t, dir)
	tables, _, _, err := readManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// model is the same history in memory, which goes forward only.
type model struct {
	mem   mvcc.Memory
	store *mvcc.Store
}

// at tells what a state at a zxid is like.
func (m *model) at(t *testing.T, z proto.Zxid) string {
	t.Helper()
	if m.store == nil {
		var err error
		if m.store, err = mvcc.Open(&m.mem, mvcc.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := advance(m.store, z, func(b *mvcc.Batch) error { m.mem.Commit(b); return nil }); err != nil {
		t.Fatal(err)
	}
	return like(t, m.store)
}

// like tells what a state is like.
func like(t *testing.T, s *mvcc.Store) string {
	t.Helper()
	hash, err := s.HashKV(0)
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprint(s.Applied(), s.Revision(), hash, s.Leases())
	for _, l := range s.Leases() {
		all += fmt.Sprint(s.LeaseKeys(l.ID))
	}
	return all
}

// ramDir is a directory in memory if there is such: what is tested here is what a disk has, not a disk.
func ramDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "backend")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// stopped stops a process and waits until it stands still.
func stopped(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatal(status, err)
	}
}

func resume(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// readUntil reads lines of the process until one tells of something, and returns the number in it.
func readUntil(t *testing.T, lines *bufio.Scanner, what string) proto.Zxid {
	t.Helper()
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), what+" "); ok {
			z, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return proto.Zxid(z)
		}
	}
	t.Fatal("the process has ended")
	return 0
}

// TestPowerLoss has the power fail at random times of a process that commits and syncs: a state comes back that there was, at the
// last Sync or later, and goes on as if nothing had been.
func TestPowerLoss(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("stops processes")
	}
	const rounds, losses, replays = 8, 30, 6
	dir := ramDir(t)
	g := rand.New(rand.NewPCG(8, 9))
	cmd, lines, in := childWithInput(t, "syncer", dir)
	defer cmd.Process.Kill()
	var m model
	ends := map[proto.Zxid]bool{}
	for round := range rounds {
		synced := readUntil(t, lines, "synced")
		stopped(t, cmd)
		old := readFiles(t, dir)
		resume(t, cmd)
		n := 20 + g.IntN(180)
		fmt.Fprintln(in, n)
		last := synced + proto.Zxid(n)
		for stop := synced + proto.Zxid(g.IntN(n)); readUntil(t, lines, "committed") < stop; {
		}
		stopped(t, cmd)
		now := readFiles(t, dir)
		resume(t, cmd)
		fmt.Fprintln(in)
		found := map[proto.Zxid]map[string]int{}
		note := func(s *mvcc.Store, seed int) {
			z := s.Applied()
			if found[z] == nil {
				found[z] = map[string]int{}
			}
			found[z][like(t, s)] = seed
		}
		for seed := range losses {
			left := ramDir(t)
			lose(rand.New(rand.NewPCG(uint64(round), uint64(seed))), t, old, now).write(t, left)
			b, err := open(left, nil, smallMemTable)
			if err != nil {
				t.Fatalf("round %d, seed %d: %v", round, seed, err)
			}
			_, s := mustStore(t, b)
			if s.Applied() < synced {
				t.Fatalf("round %d, seed %d: opened at %v, synced at %v", round, seed, s.Applied(), synced)
			}
			ends[s.Applied()] = true
			note(s, seed)
			if seed%replays == 0 && s.Applied() < last {
				if err := advance(s, last, b.Commit); err != nil {
					t.Fatal(err)
				}
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				b, s = must(t, left, smallMemTable)
				note(s, seed)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			os.RemoveAll(left)
		}
		for _, z := range slices.Sorted(func(yield func(proto.Zxid) bool) {
			for z := range found {
				if !yield(z) {
					return
				}
			}
		}) {
			want := m.at(t, z)
			for got, seed := range found[z] {
				if got != want {
					t.Errorf("round %d, seed %d: %s, want %s", round, seed, got, want)
				}
			}
		}
	}
	t.Logf("%d different states", len(ends))
	if len(ends) < 3*rounds {
		t.Error("hardly anything was lost")
	}
}
