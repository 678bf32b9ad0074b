package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"zebu/internal/peers"
	"zebu/recipes"
)

// peer is a program that uses another library's recipes: lines in, lines out.
type peer struct {
	t     *testing.T
	in    io.Writer
	lines chan string
}

// recipeLimit bounds every wait for a peer.
const recipeLimit = 60 * time.Second

func startPeer(t *testing.T, cmd *exec.Cmd) *peer {
	t.Helper()
	var log syncedLog
	cmd.Stderr = &log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, in: in, lines: make(chan string, 100)}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // gone is what is wanted
		for range p.lines {
		}
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the peer said:\n%s", log.String())
		}
	})
	return p
}

// syncedLog collects what a process prints.
type syncedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *syncedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *syncedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (p *peer) tell(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) expect(want string) {
	p.t.Helper()
	select {
	case got := <-p.lines:
		if got != want {
			p.t.Fatalf("the peer says %q, expected %q", got, want)
		}
	case <-time.After(recipeLimit):
		p.t.Fatalf("the peer does not say %q", want)
	}
}

func (p *peer) ask(want, format string, args ...any) {
	p.t.Helper()
	p.tell(format, args...)
	p.expect(want)
}

func kazooPeer(t *testing.T, addr string) *peer {
	t.Helper()
	if err := exec.Command(debianPython, "-c", "import kazoo").Run(); err != nil {
		have(t, &peers.Missing{What: "kazoo", Why: debianPython + " cannot import it (Debian package python3-kazoo)"})
	}
	return startPeer(t, exec.Command(debianPython, "python/recipes.py", addr))
}

func curatorPeer(t *testing.T, addr string) *peer {
	t.Helper()
	jars, err := peers.CuratorJars(t.Context())
	have(t, err)
	classes := t.TempDir()
	if out, err := exec.Command("javac", "-nowarn", "-d", classes, "-cp", peers.ClassPath(jars), "java/RecipesDriver.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	return startPeer(t, exec.Command("java", "-Xmx128m", "-XX:+UseSerialGC", "-Dzebu.peers.level=ERROR",
		"-cp", classes+string(os.PathListSeparator)+peers.ClassPath(jars), "RecipesDriver", addr))
}

func recipesClient(t *testing.T, addrs ...string) *recipes.Client {
	t.Helper()
	c, err := recipes.Connect(addrs, recipes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// meeting is a Go client and a peer at one server.
type meeting struct {
	*testing.T
	ctx  context.Context
	c    *recipes.Client
	peer *peer
	o    recipes.LockOptions
}

func (m *meeting) ok(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

// grows waits until a node has a number of children.
func (m *meeting) grows(dir string, n int) {
	m.Helper()
	for {
		names, _, event, err := m.c.Conn().ChildrenW(dir)
		if err == nil && len(names) >= n {
			return
		}
		if errors.Is(err, zk.ErrNoNode) {
			var there bool
			if there, _, event, err = m.c.Conn().ExistsW(dir); there {
				continue
			}
		}
		m.ok(err)
		select {
		case <-event:
		case <-m.ctx.Done():
			m.Fatalf("%s has %v, not %d children", dir, names, n)
		}
	}
}

type acquire func(context.Context) (*recipes.Lease, error)

// sharesLock has both sides hold, wait and try in turn. try is nil for what cannot be tried, dir is where those who wait are seen.
func (m *meeting) sharesLock(kind, path, dir string, lock, try acquire) {
	m.Helper()
	l, err := lock(m.ctx)
	m.ok(err)
	if try != nil {
		m.peer.ask("no", "try %s %s", kind, path)
	}
	m.peer.tell("hold %s x %s", kind, path)
	m.grows(dir, 2)
	m.ok(l.Release(m.ctx))
	m.peer.expect("held x")
	if try != nil {
		if _, err := try(m.ctx); !errors.Is(err, recipes.ErrNotAcquired) {
			m.Errorf("%s: held by the peer and by us: %v", kind, err)
		}
	}
	got := make(chan *recipes.Lease, 1)
	go func() {
		if l, err := lock(m.ctx); err == nil {
			got <- l
		}
	}()
	m.grows(dir, 2)
	select {
	case <-got:
		m.Errorf("%s: held by the peer and by us", kind)
	default:
	}
	m.peer.ask("dropped x", "drop x")
	select {
	case next := <-got:
		if next.Token() <= l.Token() {
			m.Errorf("%s: token %d after %d", kind, next.Token(), l.Token())
		}
		m.ok(next.Release(m.ctx))
	case <-m.ctx.Done():
		m.Fatalf("%s: we do not follow the peer", kind)
	}
}

func (m *meeting) locks() {
	m.Helper()
	mutex := recipes.NewMutex(m.c, "/m/lock", m.o)
	m.sharesLock("lock", "/m/lock", "/m/lock", mutex.Lock, mutex.TryLock)
	rw := recipes.NewRWMutex(m.c, "/m/rw", m.o)
	m.sharesLock("write", "/m/rw", "/m/rw", rw.Lock, rw.TryLock)
	m.sharesLock("write", "/m/rw", "/m/rw", rw.RLock, rw.TryRLock)
	m.sharesLock("read", "/m/rw", "/m/rw", rw.Lock, rw.TryLock)
	reader, err := rw.RLock(m.ctx)
	m.ok(err)
	m.peer.ask("yes", "try read /m/rw")
	m.ok(reader.Release(m.ctx))
	o := recipes.ElectionOptions{Layout: m.o.Layout, ID: "go"}
	election := recipes.NewElection(m.c, "/m/election", o)
	m.sharesLock("election", "/m/election", "/m/election", election.Campaign, nil)
	m.semaphore()
}

func (m *meeting) semaphore() {
	m.Helper()
	s := recipes.NewSemaphore(m.c, "/m/semaphore", 2, m.o)
	a, err := s.Acquire(m.ctx)
	m.ok(err)
	m.peer.tell("hold semaphore s /m/semaphore")
	m.peer.expect("held s")
	if _, err := s.TryAcquire(m.ctx); !errors.Is(err, recipes.ErrNotAcquired) {
		m.Errorf("three of two: %v", err)
	}
	m.peer.ask("no", "try semaphore /m/semaphore")
	m.ok(a.Release(m.ctx))
	m.peer.ask("yes", "try semaphore /m/semaphore")
	m.peer.ask("dropped s", "drop s")
}

func (m *meeting) barriers() {
	m.Helper()
	b := recipes.NewBarrier(m.c, "/m/barrier")
	m.ok(b.Set(m.ctx))
	m.peer.tell("hold barrier b /m/barrier")
	m.ok(b.Remove(m.ctx))
	m.peer.expect("held b")
	m.peer.tell("drop b")
	m.peer.expect("dropped b")
	m.peer.ask("set", "set-barrier /m/barrier")
	passed := make(chan error, 1)
	go func() { passed <- b.Wait(m.ctx) }()
	m.peer.ask("removed", "remove-barrier /m/barrier")
	m.ok(<-passed)

	d := recipes.NewDoubleBarrier(m.c, "/m/double", 2)
	m.peer.tell("hold double d /m/double")
	m.ok(d.Enter(m.ctx))
	m.peer.expect("held d")
	m.peer.tell("drop d")
	m.ok(d.Leave(m.ctx))
	m.peer.expect("dropped d")
}

// TestRecipesWithKazoo shares znodes between package recipes and kazoo's recipes, on both servers.
func TestRecipesWithKazoo(t *testing.T) {
	t.Parallel()
	for _, maker := range bothMakers(t) {
		t.Run(maker.Name(), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), recipeLimit)
			defer cancel()
			// Empty containers are reaped at once, and kazoo does not create the directory of a lock again.
			addr := start(t, maker, peers.Config{Dir: t.TempDir(), Properties: []string{"znode.container.checkIntervalMs=10"}}).Addr
			m := &meeting{T: t, ctx: ctx, c: recipesClient(t, addr), peer: kazooPeer(t, addr), o: recipes.LockOptions{Layout: recipes.Kazoo, ID: "go"}}
			m.locks()
			m.barriers()
			mutex := recipes.NewMutex(m.c, "/m/lock2", m.o)
			l, err := mutex.Lock(ctx)
			m.ok(err)
			m.peer.ask("go", "contenders /m/lock2")
			m.ok(l.Release(ctx))
			// kazoo stands in Curator's line if told so, but not in a container.
			_, err = m.c.Conn().Create("/m/lock3", nil, zk.FlagPersistent, zk.WorldACL(zk.PermAll))
			m.ok(err)
			mutex = recipes.NewMutex(m.c, "/m/lock3", recipes.LockOptions{})
			m.sharesLock("curator-lock", "/m/lock3", "/m/lock3", mutex.Lock, mutex.TryLock)
			counter := recipes.NewCounter(m.c, "/m/counter", recipes.Kazoo)
			m.peer.ask("5", "count /m/counter 5")
			if v, err := counter.Add(ctx, 2); err != nil || v != 7 {
				t.Errorf("counted to %d, %v", v, err)
			}
			m.peer.ask("6", "count /m/counter -1")
			m.kazooQueue()
		})
	}
}

func (m *meeting) kazooQueue() {
	q := recipes.NewPriorityQueue(m.c, "/m/queue", recipes.QueueOptions{Layout: recipes.Kazoo})
	m.ok(q.Put(m.ctx, []byte("usual"), 100))
	m.peer.ask("put", "put /m/queue urgent 3")
	m.peer.ask("put", "simple-put /m/queue late 200")
	m.peer.ask("urgent True", "take /m/queue")
	item, err := q.Take(m.ctx)
	m.ok(err)
	if string(item.Data) != "usual" {
		m.Errorf("took %s", item.Data)
	}
	last, err := q.Take(m.ctx)
	m.ok(err)
	if string(last.Data) != "late" {
		m.Errorf("took %s", last.Data)
	}
	m.peer.ask("None", "taken /m/queue") // all is taken
	m.ok(item.Return(m.ctx))
	m.peer.ask("usual True", "take /m/queue")
	m.ok(last.Ack(m.ctx))
	if n, err := q.Len(m.ctx); err != nil || n != 0 {
		m.Errorf("%d items are left, %v", n, err)
	}
}

// TestRecipesWithCurator shares znodes between package recipes and Apache Curator's recipes, on both servers.
func TestRecipesWithCurator(t *testing.T) {
	t.Parallel()
	for _, maker := range bothMakers(t) {
		t.Run(maker.Name(), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*recipeLimit)
			defer cancel()
			addr := start(t, maker, peers.Config{Dir: t.TempDir(), Properties: properties}).Addr
			m := &meeting{T: t, ctx: ctx, c: recipesClient(t, addr), peer: curatorPeer(t, addr), o: recipes.LockOptions{ID: "go"}}
			m.locks()
			m.barriers()
			leads, err := recipes.NewElection(m.c, "/m/election2", recipes.ElectionOptions{ID: "go"}).Campaign(ctx)
			m.ok(err)
			m.peer.ask("go", "leader /m/election2")
			m.ok(leads.Release(ctx))
			m.peer.ask("5", "count /m/counter 5")
			if v, err := recipes.NewCounter(m.c, "/m/counter", recipes.Curator).Add(ctx, -7); err != nil || v != -2 {
				t.Errorf("counted to %d, %v", v, err)
			}
			m.peer.ask("-1", "count /m/counter 1")
			m.curatorQueues()
			m.curatorServices()
		})
	}
}

func (m *meeting) take(try func(context.Context) (*recipes.Item, error), want string) {
	m.Helper()
	item, err := try(m.ctx)
	m.ok(err)
	if string(item.Data) != want {
		m.Errorf("took %s, expected %s", item.Data, want)
	}
	m.ok(item.Ack(m.ctx))
}

func (m *meeting) curatorQueues() {
	m.Helper()
	q := recipes.NewQueue(m.c, "/m/queue", recipes.QueueOptions{})
	m.peer.ask("put", "put queue /m/queue java 0")
	m.ok(q.Put(m.ctx, []byte("go")))
	m.take(q.Take, "java")
	held, err := q.Take(m.ctx)
	m.ok(err)
	m.ok(q.Put(m.ctx, []byte("other")))
	m.ok(held.Return(m.ctx))
	m.peer.ask("took go other", "take queue /m/queue")

	p := recipes.NewPriorityQueue(m.c, "/m/priority", recipes.QueueOptions{})
	m.ok(p.Put(m.ctx, []byte("third"), 7))
	m.peer.ask("put", "put priority /m/priority second 5")
	m.peer.ask("put", "put priority /m/priority first -5")
	m.take(p.Take, "first")
	m.peer.ask("took second third", "take priority /m/priority")

	d := recipes.NewDelayQueue(m.c, "/m/delay", "")
	now := time.Now()
	m.ok(d.Put(m.ctx, []byte("third"), now.Add(300*time.Millisecond)))
	m.peer.ask("put", "put delay /m/delay first %d", now.UnixMilli())
	m.peer.ask("put", "put delay /m/delay second %d", now.Add(100*time.Millisecond).UnixMilli())
	m.take(d.Take, "first")
	m.peer.ask("took second third", "take delay /m/delay")
}

func (m *meeting) curatorServices() {
	m.Helper()
	r := recipes.NewRegistry(m.c, "/m/services", recipes.CuratorServices)
	ours, err := r.Register(m.ctx, recipes.Instance{Service: "s", ID: "go", Address: "10.0.0.1", Port: 1, Payload: json.RawMessage(`{"a":[1]}`)}, recipes.Health{})
	m.ok(err)
	m.peer.ask("registered", "register /m/services s java 10.0.0.2 2")
	m.peer.ask("{go=10.0.0.1:1 {a=[1]} true, java=10.0.0.2:2 {weight=7} true}", "instances /m/services s")
	s, err := r.Discover(m.ctx, "s")
	m.ok(err)
	defer s.Close()
	l := s.Instances()
	if len(l) != 2 || l[0].ID != "go" || l[1].ID != "java" || l[1].HostPort() != "10.0.0.2:2" || l[1].Weight != 7 || l[1].Registered.IsZero() {
		m.Errorf("%+v, %v", l, s.Unreadable())
	}
	m.ok(ours.Unregister(m.ctx))
	m.peer.ask("{java=10.0.0.2:2 {weight=7} true}", "instances /m/services s")

	g := recipes.NewGroup(m.c, "/m/group")
	_, err = g.Join(m.ctx, "go", []byte("1"))
	m.ok(err)
	m.peer.ask("joined", "join /m/group java 2")
	m.peer.ask("[asks, go, java]", "members /m/group")
	members, err := g.Members(m.ctx)
	m.ok(err)
	if string(members["java"]) != "2" || string(members["go"]) != "1" {
		m.Errorf("members %q", members)
	}
}
