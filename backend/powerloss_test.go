package backend

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
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
	likely := []float64{0, 0.03, 0.5, 0.9, 0.98, 1}[g.IntN(6)]
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
	names := slices.Sorted(maps.Keys(now)) // for the seed's sake
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
		case old[name] == nil && g.IntN(6) == 0: // nor its size
			left[name] = tear(g, nil, data[:g.IntN(2)*g.IntN(len(data)+1)])
		default:
			left[name] = tear(g, old[name], data)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, ok := now[name]; !ok && g.IntN(4) == 0 { // its removal was not written, or that it was emptied
			left[name] = old[name][:len(old[name])*g.IntN(2)]
		}
	}
	if g.IntN(4) == 0 { // a table was under way
		left["099999.sst"] = make([]byte, g.IntN(3)*1000)
	}
	return left
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

// process is a process that runs syncForever.
type process struct {
	t     *testing.T
	dir   string
	cmd   *exec.Cmd
	lines chan string
	in    io.Writer
}

func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	cmd, scan, in := childWithInput(t, "syncer", dir)
	p := &process{t, dir, cmd, make(chan string, 1000), in}
	go func() {
		for scan.Scan() {
			p.lines <- scan.Text()
		}
		close(p.lines)
	}()
	return p
}

// files stops the process, wherever it is, and reads what is in the directory.
func (p *process) files() files {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		p.t.Fatal(status, err)
	}
	now := readFiles(p.t, p.dir)
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		p.t.Fatal(err)
	}
	return now
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// until reads lines until one tells of something, and returns the number in it.
func (p *process) until(what string) proto.Zxid {
	p.t.Helper()
	for line := range p.lines {
		if n, ok := strings.CutPrefix(line, what+" "); ok {
			z, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return proto.Zxid(z)
		}
	}
	p.t.Fatal("the process has ended")
	return 0
}

// changes returns what is in the directory each time that other files are in it, which were old at first, until the process has synced.
func (p *process) changes(old files) (all []files) {
	p.t.Helper()
	for before := ""; len(p.lines) == 0; {
		entries, err := os.ReadDir(p.dir)
		if err != nil {
			p.t.Fatal(err)
		}
		if now := fmt.Sprint(entries); now != before {
			before = now
			have := p.files()
			if !bytes.Equal(have[stateName], old[stateName]) {
				return all // it is about to say so
			}
			all = append(all, have)
		}
	}
	return all
}

// outcomes are the states that came back.
type outcomes struct {
	t     *testing.T
	found map[proto.Zxid]map[string]string // what they are like, and whence
	n     int
}

func (o *outcomes) note(whence string, s *mvcc.Store) {
	o.t.Helper()
	z := s.Applied()
	if o.found[z] == nil {
		o.found[z] = map[string]string{}
	}
	o.found[z][like(o.t, s)] = whence
}

// open opens what is left, and replays the history up to a zxid, if it is not 0.
func (o *outcomes) open(whence string, left files, synced, replay proto.Zxid) {
	o.t.Helper()
	o.n++
	dir := ramDir(o.t)
	defer os.RemoveAll(dir)
	left.write(o.t, dir)
	b, err := open(dir, nil, smallMemTable)
	if err != nil {
		o.t.Fatalf("%s: %v", whence, err)
	}
	_, s := mustStore(o.t, b)
	if s.Applied() < synced {
		o.t.Fatalf("%s: opened at %v, synced at %v", whence, s.Applied(), synced)
	}
	o.note(whence, s)
	if s.Applied() < replay {
		if err := advance(s, replay, b.Commit); err != nil {
			o.t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			o.t.Fatal(err)
		}
		b, s = must(o.t, dir, smallMemTable)
		o.note(whence+" and replay", s)
	}
	if err := b.Close(); err != nil {
		o.t.Fatal(err)
	}
}

// compare holds all states against the history in memory.
func (o *outcomes) compare() {
	o.t.Helper()
	mem := &mvcc.Memory{}
	model, err := mvcc.Open(mem, mvcc.Options{})
	if err != nil {
		o.t.Fatal(err)
	}
	for _, z := range slices.Sorted(maps.Keys(o.found)) {
		if err := advance(model, z, func(b *mvcc.Batch) error { mem.Commit(b); return nil }); err != nil {
			o.t.Fatal(err)
		}
		want := like(o.t, model)
		for got, whence := range o.found[z] {
			if got != want {
				o.t.Errorf("%s: %s, want %s", whence, got, want)
			}
		}
	}
}

// TestPowerLoss has the power fail at random times of a process that commits and syncs: a state comes back that there was, at the
// last Sync or later, and goes on as if nothing had been. Then the power fails again while a process comes back.
func TestPowerLoss(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("stops processes")
	}
	const rounds, losses, again, replays = 8, 24, 3, 6
	g := rand.New(rand.NewPCG(8, 9))
	o := &outcomes{t: t, found: map[proto.Zxid]map[string]string{}}
	p := startProcess(t, ramDir(t))
	defer func() { p.kill() }()
	for round := range rounds {
		synced := p.until("synced")
		old := p.files()
		n := 20 + g.IntN(280)
		fmt.Fprintln(p.in, n)
		last := synced + proto.Zxid(n)
		for stop := synced + proto.Zxid(g.IntN(n)); p.until("committed") < stop; {
		}
		now := p.files()
		fmt.Fprintln(p.in)
		var left files
		for seed := range losses {
			left = lose(rand.New(rand.NewPCG(uint64(round), uint64(seed))), t, old, now)
			replay := last
			if seed%replays != 0 {
				replay = 0
			}
			o.open(fmt.Sprintf("round %d, seed %d", round, seed), left, synced, replay)
		}
		if round%2 == 0 {
			continue
		}
		p.kill()
		dir := ramDir(t)
		left.write(t, dir)
		p = startProcess(t, dir)
		for _, now := range p.changes(left) {
			for range again {
				o.open(fmt.Sprintf("round %d, again, %d", round, o.n), lose(g, t, left, now), synced, 0)
			}
		}
	}
	o.compare()
	t.Logf("%d losses, %d different states", o.n, len(o.found))
	if len(o.found) < 3*rounds {
		t.Error("hardly anything was lost")
	}
}

// TestDamage turns a bit over in what is on disk for sure: Open refuses, or it was one that does not count.
func TestDamage(t *testing.T) {
	const end, tries = 500, 90
	dir := ramDir(t)
	b, s := must(t, dir, smallMemTable)
	if err := advance(s, end, b.Commit); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	closed := readFiles(t, dir)
	b, s = must(t, dir, 8*smallMemTable) // keeps the rest in its log
	if err := advance(s, end+150, b.Commit); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	synced := readFiles(t, dir)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	o := &outcomes{t: t, found: map[proto.Zxid]map[string]string{}}
	g := rand.New(rand.NewPCG(5, 6))
	refused := map[string]int{}
	for try := range tries {
		all, at := maps.Clone(closed), proto.Zxid(end)
		if try%2 == 1 {
			all, at = maps.Clone(synced), end+150
		}
		names := slices.Sorted(maps.Keys(all))
		name := names[g.IntN(len(names))]
		data := slices.Clone(all[name])
		if len(data) == 0 {
			continue
		}
		// The beginning and the end of a file have what else there is in it.
		where := []int{g.IntN(len(data)), g.IntN(min(len(data), 200)), len(data) - 1 - g.IntN(min(len(data), 200))}[g.IntN(3)]
		data[where] ^= 1 << g.IntN(8)
		all[name] = data
		left := ramDir(t)
		all.write(t, left)
		whence := fmt.Sprintf("try %d: %s at %d of %d", try, name, where, len(data))
		b, err := open(left, nil, 8*smallMemTable)
		if err != nil {
			if !errors.Is(err, mvcc.ErrDamaged) {
				t.Errorf("%s: %v", whence, err)
			}
			refused[filepath.Ext(name)]++
			os.RemoveAll(left)
			continue
		}
		_, s := mustStore(t, b)
		if s.Applied() != at {
			t.Errorf("%s: opened at %v, want %v", whence, s.Applied(), at)
		}
		o.note(whence, s)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		os.RemoveAll(left)
	}
	o.compare()
	t.Log("refused", refused)
	if refused[".sst"] == 0 || refused[".mem"] == 0 || refused[""] == 0 {
		t.Error("damage was not found")
	}
}
