package recipes

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// changes collects what a cache tells.
type changes chan string

func (ch changes) note(c Change) {
	ch <- fmt.Sprintf("%s %s=%s", []string{"added", "updated", "removed"}[c.Type], c.Node.Path, c.Node.Data)
}

func (ch changes) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := until(t, ch, w); got != w {
			t.Fatalf("%s, expected %s", got, w)
		}
	}
}

func TestNodeCache(t *testing.T) {
	t.Parallel()
	ctx, p := within(t), fresh(t)
	f, told := newFaults(-1, unsent), make(changes, 100)
	k := NewNodeCache(faultyClient(t, f), p, told.note)
	ok(t, k.Ready(ctx))
	if _, there := k.Node(); there {
		t.Error("a node that does not exist")
	}
	c := client(t)
	must(c.create(ctx, p, []byte("1"), 0))(t)
	told.expect(t, "added "+p+"=1")
	must(c.set(ctx, p, []byte("2"), -1))(t)
	told.expect(t, "updated "+p+"=2")
	f.cut()
	must(c.set(ctx, p, []byte("3"), -1))(t)
	told.expect(t, "updated "+p+"=3")
	f.expire(t)
	ok(t, c.remove(ctx, p))
	told.expect(t, "removed "+p+"=3")
	must(c.create(ctx, p, []byte("4"), 0))(t)
	told.expect(t, "added "+p+"=4")
	if n, there := k.Node(); !there || string(n.Data) != "4" || n.Stat.Version != 0 {
		t.Errorf("%+v", n)
	}
	k.Close()
}

func TestChildrenCache(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	f, told := newFaults(-1, unsent), make(changes, 100)
	c := client(t)
	k := NewChildrenCache(faultyClient(t, f), dir, told.note)
	ok(t, c.ensure(ctx, dir))
	must(c.create(ctx, dir+"/a", []byte("1"), 0))(t)
	told.expect(t, "added "+dir+"/a=1")
	must(c.create(ctx, dir+"/b", []byte("2"), 0))(t)
	told.expect(t, "added "+dir+"/b=2")
	must(c.create(ctx, dir+"/b/deep", nil, 0))(t)
	f.expire(t)
	must(c.set(ctx, dir+"/a", []byte("3"), -1))(t)
	told.expect(t, "updated "+dir+"/a=3")
	ok(t, c.remove(ctx, dir+"/a"))
	told.expect(t, "removed "+dir+"/a=3")
	if all := k.Children(); len(all) != 1 || all[0].Path != dir+"/b" {
		t.Errorf("%+v", all)
	}
	if b, there := k.Child("b"); !there || string(b.Data) != "2" {
		t.Errorf("%+v", b)
	}
}

func TestTreeCache(t *testing.T) {
	t.Parallel()
	ctx, root := within(t), fresh(t)
	f, told := newFaults(-1, unsent), make(changes, 100)
	c := client(t)
	ok(t, c.ensure(ctx, root+"/a/b"))
	k := NewTreeCache(faultyClient(t, f), root, told.note)
	ok(t, k.Ready(ctx))
	told.expect(t, "added "+root+"=", "added "+root+"/a=", "added "+root+"/a/b=")
	must(c.create(ctx, root+"/a/b/c", []byte("x"), 0))(t)
	told.expect(t, "added "+root+"/a/b/c=x")
	f.expire(t)
	ok(t, c.remove(ctx, root+"/a/b/c"))
	ok(t, c.remove(ctx, root+"/a/b"))
	told.expect(t, "removed "+root+"/a/b/c=x", "removed "+root+"/a/b=")
	must(c.set(ctx, root+"/a", []byte("y"), -1))(t)
	told.expect(t, "updated "+root+"/a=y")
	var paths []string
	for _, n := range k.Nodes() {
		paths = append(paths, n.Path)
	}
	if !slices.Equal(paths, []string{root, root + "/a"}) {
		t.Errorf("%q", paths)
	}
	if n, there := k.Node(root + "/a/"); !there || string(n.Data) != "y" {
		t.Errorf("%+v", n)
	}
}

// TestChildMadeAgain makes a child again after the cache has seen that it is gone and before it looks at the parent.
func TestChildMadeAgain(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	c, told := client(t), make(changes, 100)
	ok(t, c.ensure(ctx, dir+"/a"))
	NewChildrenCache(client(t), dir, told.note, func(ch Change) {
		if ch.Type == Removed {
			must(c.create(ctx, dir+"/a", []byte("again"), 0))(t)
		}
	})
	told.expect(t, "added "+dir+"/a=")
	ok(t, c.remove(ctx, dir+"/a"))
	told.expect(t, "removed "+dir+"/a=", "added "+dir+"/a=again")
}

// TestTreeCacheEachStep checks that the copy becomes what the tree is, whatever happens to the connection meanwhile.
func TestTreeCacheEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, root := within(t), fresh(t)
		writer := client(t)
		ok(t, writer.ensure(ctx, root+"/a/b"))
		done := make(chan struct{})
		k := NewTreeCache(c, root, func(c Change) {
			if c.Type == Added && c.Node.Path == root+"/last" {
				close(done)
			}
		})
		must(writer.set(ctx, root+"/a/b", []byte("x"), -1))(t)
		must(writer.create(ctx, root+"/a/c", nil, 0))(t)
		ok(t, writer.remove(ctx, root+"/a/c"))
		ok(t, k.Ready(ctx))
		must(writer.create(ctx, root+"/last", nil, 0))(t)
		until(t, done, "the last change")
		var have []string
		for _, n := range k.Nodes() {
			have = append(have, n.Path[len(root):]+"="+string(n.Data))
		}
		if got := strings.Join(have, " "); got != "= /a= /a/b=x /last=" {
			t.Error(got)
		}
	})
}

// TestCacheOutlivesServers reads the copy while no server can be reached.
func TestCacheOutlivesServers(t *testing.T) {
	t.Parallel()
	ctx, root, g := within(t), fresh(t), newGate()
	c := clientWith(t, Options{Dial: g.dial, SessionTimeout: limit / 20})
	must(c.create(ctx, root, []byte("x"), zk.FlagPersistent))(t)
	k, told := NewNodeCache(c, root), make(changes, 10)
	ok(t, k.Ready(ctx))
	s := must(c.session(ctx))(t)
	g.shut()
	until(t, s.ctx.Done(), "the session to be given up")
	if n, there := k.Node(); !there || string(n.Data) != "x" {
		t.Errorf("%+v", n)
	}
	again := NewNodeCache(c, root, told.note)
	g.open()
	told.expect(t, "added "+root+"=x")
	again.Close()
}

// TestWatchesAgain checks what is sent when watches are set again: the last transaction before the connection was lost.
func TestWatchesAgain(t *testing.T) {
	t.Parallel()
	ctx, dir, sent := within(t), fresh(t), make(chan []byte, 10)
	f := newFaults(-1, unsent)
	c := clientWith(t, Options{Dial: func(network, address string, timeout time.Duration) (net.Conn, error) {
		conn, err := f.dial(network, address, timeout)
		return spy{conn, sent}, err
	}})
	must(c.create(ctx, dir, nil, 0))(t)
	must(c.watchChildren(ctx, dir))(t)
	c.mu.Lock()
	seen := c.seen
	c.mu.Unlock()
	f.cut()
	b := until(t, sent, "the watches")
	if got := int64(binary.BigEndian.Uint64(b[12:])); got != seen || seen == 0 {
		t.Errorf("relative to %x, expected %x", got, seen)
	}
}

type spy struct {
	net.Conn
	sent chan []byte
}

func (s spy) Write(b []byte) (int, error) {
	if len(b) >= 20 && binary.BigEndian.Uint32(b[8:]) == opSetWatches {
		s.sent <- bytes.Clone(b)
	}
	return s.Conn.Write(b)
}
