package interop

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"zebu/internal/peers"
)

// TestRollingReplacement has zebu take the place of Apache ZooKeeper server by server, and Apache take it back, under the load of
// two makers' clients: nobody loses a session, an ephemeral node, a watch or an acknowledged write. The leader changes
// whenever its turn comes.
func TestRollingReplacement(t *testing.T) {
	t.Parallel()
	roll(t, []string{"3.9", "3.8", "3.9"}, (*ensemble).stop)
}

// TestRollingReplacementByKill is the same with servers that are killed.
func TestRollingReplacementByKill(t *testing.T) {
	t.Parallel()
	roll(t, []string{"3.8", "3.9", "3.8"}, (*ensemble).kill)
}

func roll(t *testing.T, kinds []string, end func(*ensemble, int)) {
	e := ensembleOf(t, kinds...)
	e.lead(3)
	addrs := []string{e.seat(1).addr(), e.seat(2).addr(), e.seat(3).addr()}
	observer := connect(t, 30*time.Second, addrs...)
	observer.mustCreate("/watched", "before", 0)
	observer.mustSync()
	g := startGoLoad(t, addrs)
	p := startPythonLoad(t, addrs)

	for _, round := range [][]string{{"zebu", "zebu", "zebu"}, kinds} {
		for i, kind := range round {
			id := i + 1
			g.progress(100)
			p.progress(50)
			end(e, id)
			g.progress(20) // the others go on, or elect first
			e.seat(id).maker = makerOf(t, kind)
			e.start(id)
		}
	}
	g.progress(100)
	p.progress(50)
	g.end()
	p.stop()

	if _, err := observer.Set("/watched", []byte("after"), 0); err != nil {
		t.Fatal(err)
	}
	g.event(g.watch, zk.EventNodeDataChanged, "/watched")
	p.await("the event", func() bool { return p.watched == "after" })
	e.same()
	for _, id := range e.running() {
		c := connect(t, 10*time.Second, e.seat(id).addr())
		g.written.check(t, c, "/go", "/go-ephemeral", g.SessionID())
		p.written.check(t, c, "/python", "/python-ephemeral", p.session)
	}
	if g.lost() || g.SessionID() != g.before {
		t.Errorf("go-zookeeper's session %x became %x", g.before, g.SessionID())
	}
	if p.lost {
		t.Error("kazoo lost its session")
	}
	if n := e.watch.compared(); n < 5 {
		t.Errorf("digests compared at %d zxids only", n)
	}
	t.Logf("acknowledged: %d creates and %d sets by go-zookeeper, %d and %d by kazoo; digests compared at %d zxids",
		len(g.written.created), g.written.sets, len(p.written.created), p.written.sets, e.watch.compared())
}

// written is what one client's load was told to be written.
type written struct {
	created []string
	set     int // last value acknowledged; values grow
	sets    int
}

// check looks for what was acknowledged through a client of one member.
func (w *written) check(t *testing.T, c *client, parent, ephemeral string, session int64) {
	t.Helper()
	c.mustSync()
	names, _, err := c.Children(parent)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, n := range names {
		there[parent+"/"+n] = true
	}
	missing := 0
	for _, path := range w.created {
		if !there[path] {
			if missing++; missing <= 5 {
				t.Errorf("%s was acknowledged, and %s does not have it", path, c.Server())
			}
		}
	}
	b, st, err := c.Get(parent)
	value, _ := strconv.Atoi(string(b))
	if err != nil || value < w.set || int(st.Version) < w.sets {
		t.Errorf("%s at %s: %q version %d, %v; %d was acknowledged last, and %d sets in all", parent, c.Server(), b, st.Version, err, w.set, w.sets)
	}
	if there, st, err := c.Exists(ephemeral); err != nil || !there || st.EphemeralOwner != session {
		t.Errorf("%s at %s: %v %+v %v, want it to be of session %x", ephemeral, c.Server(), there, st, err, session)
	}
}

// goLoad writes with go-zookeeper, one request after the other.
type goLoad struct {
	*client
	before int64 // session
	watch  <-chan zk.Event
	stop   chan struct{}
	ended  sync.WaitGroup

	mu      sync.Mutex
	written written
}

func startGoLoad(t *testing.T, addrs []string) *goLoad {
	t.Helper()
	g := &goLoad{client: connect(t, 30*time.Second, addrs...), stop: make(chan struct{})}
	g.before = g.SessionID()
	g.mustSync()
	g.mustCreate("/go", "0", 0)
	g.mustCreate("/go-ephemeral", "", zk.FlagEphemeral)
	var err error
	if _, _, g.watch, err = g.GetW("/watched"); err != nil {
		t.Fatal(err)
	}
	g.ended.Go(g.run)
	return g
}

func (g *goLoad) run() {
	for n := 1; ; n++ {
		select {
		case <-g.stop:
			return
		default:
		}
		path := fmt.Sprintf("/go/%06d", n)
		_, err := g.Create(path, nil, 0, worldACL)
		if g.note(err) {
			g.mu.Lock()
			g.written.created = append(g.written.created, path)
			g.mu.Unlock()
		}
		_, err = g.Set("/go", []byte(strconv.Itoa(n)), -1)
		if g.note(err) {
			g.mu.Lock()
			g.written.set, g.written.sets = n, g.written.sets+1
			g.mu.Unlock()
		}
	}
}

// note says whether a write was acknowledged. What becomes of those under way when a connection breaks nobody knows.
func (g *goLoad) note(err error) bool {
	if err != nil && !errors.Is(err, zk.ErrConnectionClosed) && !errors.Is(err, zk.ErrNoServer) {
		g.t.Errorf("go-zookeeper's write: %v", err)
	}
	return err == nil
}

func (g *goLoad) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.written.created)
}

// progress waits for n more writes.
func (g *goLoad) progress(n int) {
	g.t.Helper()
	n += g.count()
	poll(g.t, 60*time.Second, "progress of go-zookeeper", func() bool { return g.count() >= n })
}

func (g *goLoad) end() {
	close(g.stop)
	g.ended.Wait()
}

// pythonLoad writes with kazoo, in a process of its own.
type pythonLoad struct {
	t       *testing.T
	in      io.WriteCloser
	session int64

	mu      sync.Mutex
	written written
	watched string
	lost    bool
	done    bool
}

func startPythonLoad(t *testing.T, addrs []string) *pythonLoad {
	t.Helper()
	if err := exec.Command(debianPython, "-c", "import kazoo").Run(); err != nil {
		have(t, &peers.Missing{What: "kazoo", Why: debianPython + " cannot import it (Debian package python3-kazoo)"})
	}
	cmd := exec.Command(debianPython, "python/load.py", strings.Join(addrs, ","), "30000")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &pythonLoad{t: t}
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			p.line(s.Text())
		}
	})
	t.Cleanup(func() {
		p.in.Close()
		kill := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		reading.Wait()
		_ = cmd.Wait() // its lines say all
		if t.Failed() {
			t.Logf("kazoo says:\n%s", stderr.String()[max(0, stderr.Len()-3000):])
		}
	})
	return p
}

func (p *pythonLoad) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	verb, arg, _ := strings.Cut(text, " ")
	switch verb {
	case "session":
		n, _ := strconv.ParseUint(arg, 16, 64) // checked as the owner of the ephemeral node
		p.session = int64(n)
	case "created":
		p.written.created = append(p.written.created, arg)
	case "set":
		p.written.set, _ = strconv.Atoi(arg)
		p.written.sets++
	case "watched":
		p.watched = arg
	case "lost":
		p.lost = true
	case "done":
		p.done = true
	}
}

// await waits for something that the process says.
func (p *pythonLoad) await(what string, f func() bool) {
	p.t.Helper()
	poll(p.t, 60*time.Second, what+" of kazoo", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return f()
	})
}

// progress waits for n more writes.
func (p *pythonLoad) progress(n int) {
	p.t.Helper()
	p.mu.Lock()
	n += len(p.written.created)
	p.mu.Unlock()
	p.await("progress", func() bool { return len(p.written.created) >= n })
}

func (p *pythonLoad) stop() {
	p.t.Helper()
	if _, err := io.WriteString(p.in, "stop\n"); err != nil {
		p.t.Fatal(err)
	}
	p.await("end", func() bool { return p.done })
}
