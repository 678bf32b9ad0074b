package interop

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"zebu/internal/peers"
)

var worldACL = zk.WorldACL(zk.PermAll)

// client is a go-zookeeper client that tells what becomes of its session.
type client struct {
	*zk.Conn
	t *testing.T

	mu      sync.Mutex
	expired bool
}

// connect opens a client for some addresses, and closes it at the end of the test.
func connect(t *testing.T, timeout time.Duration, addrs ...string) *client {
	t.Helper()
	c := &client{t: t}
	conn, events, err := zk.Connect(addrs, timeout, zk.WithLogger(quietLogger{}))
	if err != nil {
		t.Fatal(err)
	}
	c.Conn = conn
	first := make(chan struct{})
	var once sync.Once
	go func() {
		for e := range events {
			if e.State == zk.StateExpired {
				c.mu.Lock()
				c.expired = true
				c.mu.Unlock()
			}
			if e.State == zk.StateHasSession {
				once.Do(func() { close(first) })
			}
		}
	}()
	t.Cleanup(conn.Close)
	select {
	case <-first:
	case <-time.After(stepTimeout):
		t.Fatalf("no session at %v", addrs)
	}
	return c
}

func (c *client) lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.expired
}

func (c *client) mustCreate(path, data string, flags int32) string {
	c.t.Helper()
	p, err := c.Create(path, []byte(data), flags, worldACL)
	if err != nil {
		c.t.Fatalf("create %s: %v", path, err)
	}
	return p
}

// mustSync has the next reads see all that was acknowledged before. A leader of Apache ZooKeeper answers a sync of its own clients at once
// (CommitProcessor's matchSyncs is false there), although it tells others of commits before it applies them itself: it is given a write, which it
// refuses in its turn.
func (c *client) mustSync() {
	c.t.Helper()
	if _, err := c.Sync("/"); err != nil {
		c.t.Fatalf("sync: %v", err)
	}
	text, err := peers.FourLetterWord(c.Server(), "mntr")
	if err == nil && field(text, "zk_server_state") == "leader" && !strings.Contains(field(text, "zk_version"), "zebu") {
		c.wantErr("a delete of nothing", c.Delete("/none", -1), zk.ErrNoNode)
	}
}

// wantErr fails unless the error is the wanted one.
func (c *client) wantErr(what string, got, want error) {
	c.t.Helper()
	if !errors.Is(got, want) {
		c.t.Errorf("%s through %s: %v, want %v", what, c.Server(), got, want)
	}
}

// event awaits what a watch says.
func (c *client) event(watch <-chan zk.Event, kind zk.EventType, path string) {
	c.t.Helper()
	select {
	case e := <-watch:
		if e.Type != kind || e.Path != path {
			c.t.Errorf("event %v %s (%v), want %v %s", e.Type, e.Path, e.Err, kind, path)
		}
	case <-time.After(stepTimeout):
		c.t.Errorf("no event %v %s through %s", kind, path, c.Server())
	}
}

// through opens a client for every running member.
func (e *ensemble) through(timeout time.Duration) (all []*client) {
	e.t.Helper()
	for _, id := range e.running() {
		all = append(all, connect(e.t, timeout, e.seat(id).addr()))
	}
	return all
}

// everywhere checks that a node is the same for all clients once they have synced.
func everywhere(t *testing.T, clients []*client, path string) {
	t.Helper()
	want := ""
	for i, c := range clients {
		c.mustSync()
		b, st, err := c.Get(path)
		got := fmt.Sprintf("%q %s %v", b, goStat(st), err)
		if i == 0 {
			want = got
		} else if got != want {
			t.Errorf("%s through %s: %s, want %s", path, c.Server(), got, want)
		}
	}
}

// load writes n nodes below a path, through all clients at once.
func load(t *testing.T, clients []*client, under string, n int) {
	t.Helper()
	clients[0].mustCreate(under, "", 0)
	var writing sync.WaitGroup
	const lanes = 8 // writes under way for every client
	for i, c := range clients {
		c.mustSync()
		for lane := range lanes {
			writing.Go(func() {
				for k := i*lanes + lane; k < n; k += len(clients) * lanes {
					path := fmt.Sprintf("%s/%05d", under, k)
					if _, err := c.Create(path, []byte(strings.Repeat("x", k%50)), 0, worldACL); err != nil {
						t.Errorf("create %s through %s: %v", path, c.Server(), err)
						return
					}
				}
			})
		}
	}
	writing.Wait()
	t.Logf("%s loaded %s", time.Now().UTC().Format(logTime), under)
}
