package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zebu/internal/client"
	"zebu/internal/freeport"
	"zebu/proto"
	"zebu/server/servertest"
)

// dialer remembers the connections it made, so that a test can cut them.
type dialer struct {
	mu   sync.Mutex
	last net.Conn
	net.Dialer
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.DialContext(ctx, network, addr)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = c
	return c, err
}

func (d *dialer) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last.Close()
}

func connect(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func create(t *testing.T, c *client.Client, path, data string, mode proto.CreateMode) string {
	t.Helper()
	p, _, err := c.Create(limit(t), client.Create{Path: path, Data: []byte(data), ACL: client.OpenACL(), Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wait takes events until one of a type at a path comes.
func wait(t *testing.T, c *client.Client, typ proto.EventType, path string) client.Event {
	t.Helper()
	for {
		select {
		case e, ok := <-c.Events():
			if !ok {
				t.Fatalf("the session ended before event %d at %s", typ, path)
			}
			if e.Type == typ && e.Path == path {
				return e
			}
		case <-limit(t).Done():
			t.Fatalf("no event %d at %s", typ, path)
		}
	}
}

// waitState takes events until the session is in a state.
func waitState(t *testing.T, c *client.Client, want client.State) {
	t.Helper()
	for {
		select {
		case e, ok := <-c.Events():
			if ok && e.Path == "" && e.State == want {
				return
			}
			if !ok {
				t.Fatalf("the session ended before it was %v", want)
			}
		case <-limit(t).Done():
			t.Fatalf("never %v", want)
		}
	}
}

func TestOperations(t *testing.T) {
	addr := servertest.Start(t)
	create(t, connect(t, client.Options{Servers: addr}), "/app", "", proto.Persistent)
	c := connect(t, client.Options{Servers: addr + "/app"})
	ctx := limit(t)

	if p := create(t, c, "/a", "one", proto.Persistent); p != "/a" {
		t.Errorf("created %s", p)
	}
	if p := create(t, c, "/a/", "x", proto.PersistentSequential); p != "/a/0000000000" {
		t.Errorf("created %s", p)
	}
	create(t, c, "/e", "", proto.Ephemeral)
	create(t, c, "/c", "", proto.Container)
	if _, _, err := c.Create(ctx, client.Create{Path: "/t", ACL: client.OpenACL(), Mode: proto.PersistentTTL, TTL: 1000}); err != nil {
		t.Error(err)
	}
	if data, st, err := c.Get(ctx, "/a", false); string(data) != "one" || st.Version != 0 || err != nil {
		t.Errorf("get: %q %+v %v", data, st, err)
	}
	if st, err := c.Set(ctx, "/a", []byte("two"), 0); st.Version != 1 || err != nil {
		t.Errorf("set: %+v %v", st, err)
	}
	if _, err := c.Set(ctx, "/a", nil, 0); err != proto.ErrBadVersion {
		t.Errorf("set of an old version: %v", err)
	}
	if names, st, err := c.Children(ctx, "/", false); !slices.Equal(names, []string{"a", "c", "e", "t"}) || st.NumChildren != 4 || err != nil {
		t.Errorf("children: %v %+v %v", names, st, err)
	}
	if _, err := c.Exists(ctx, "/none", false); err != proto.ErrNoNode {
		t.Errorf("exists: %v", err)
	}
	if paths, err := c.Ephemerals(ctx, ""); !slices.Equal(paths, []string{"/e"}) || err != nil {
		t.Errorf("ephemerals: %v %v", paths, err)
	}
	if n, err := c.Descendants(ctx, "/"); n != 5 || err != nil {
		t.Errorf("descendants: %d %v", n, err)
	}
	if err := c.Sync(ctx, "/"); err != nil {
		t.Error(err)
	}
	if err := c.AddAuth(ctx, "digest", []byte("u:p")); err != nil {
		t.Error(err)
	}
	if ids, err := c.WhoAmI(ctx); err != nil || !slices.Contains(ids, proto.ClientInfo{AuthScheme: "digest", User: "u"}) {
		t.Errorf("whoami: %v %v", ids, err)
	}
	if err := c.DeleteAll(ctx, []string{"/a/0000000000", "/none"}); err != proto.ErrNoNode {
		t.Errorf("multi that fails: %v", err)
	}
	acl := []proto.ACL{{Perms: proto.PermRead, ID: proto.ID{Scheme: "world", ID: "anyone"}}}
	if _, err := c.SetACL(ctx, "/a", acl, client.AnyVersion); err != nil {
		t.Error(err)
	}
	if got, st, err := c.ACL(ctx, "/a"); !slices.Equal(got, acl) || st.Aversion != 1 || err != nil {
		t.Errorf("acl: %v %+v %v", got, st, err)
	}
	if err := c.DeleteAll(ctx, []string{"/e", "/c"}); err != nil {
		t.Error(err)
	}
	if err := c.Delete(ctx, "/t", 5); err != proto.ErrBadVersion {
		t.Errorf("delete: %v", err)
	}
	if data, _, err := c.Config(ctx, false); err != nil || len(data) != 0 {
		t.Errorf("config: %q %v", data, err)
	}
	if _, _, err := c.Reconfig(ctx, client.Reconfig{Joining: "server.5=h:1:2;3", Version: -1}); err == nil {
		t.Error("reconfig of a standalone server succeeds")
	}
	var path *client.PathError
	if _, _, err := c.Get(ctx, "relative", false); !errors.As(err, &path) {
		t.Errorf("relative path: %v", err)
	}
	if c.SessionID() == 0 || c.Server() != addr || c.Root() != "/app" {
		t.Error(c.SessionID(), c.Server(), c.Root())
	}
}

// TestReconnect cuts the connection and expects the session, its identities and its watches to go on.
func TestReconnect(t *testing.T) {
	addr := servertest.Start(t)
	d := &dialer{}
	c := connect(t, client.Options{Servers: addr, Patience: 10 * time.Second, Dial: d.dial})
	other := connect(t, client.Options{Servers: addr})
	ctx := limit(t)
	if err := c.AddAuth(ctx, "digest", []byte("u:p")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/data", "/kids", "/quiet", "/rec"} {
		create(t, c, p, "", proto.Persistent)
	}
	create(t, c, "/eph", "", proto.Ephemeral)
	must(struct{}{}, func() error {
		_, _, err1 := c.Get(ctx, "/data", true)
		_, _, err2 := c.Children(ctx, "/kids", true)
		_, err3 := c.Exists(ctx, "/soon", true)
		_, _, err4 := c.Get(ctx, "/quiet", true)
		if err3 == proto.ErrNoNode {
			err3 = nil
		}
		return errors.Join(err1, err2, err3, err4, c.AddWatch(ctx, "/rec", proto.AddWatchRecursive), c.AddWatch(ctx, "/kids", proto.AddWatchPersistent))
	}())(t)
	id := c.SessionID()
	waitState(t, c, client.Connected)

	// While the client is away, what it watches changes.
	hold := make(chan struct{})
	d.mu.Lock()
	d.last.Close()
	go func() { <-hold; d.mu.Unlock() }()
	waitState(t, c, client.Connecting)
	must(other.Set(ctx, "/data", []byte("x"), -1))(t)
	create(t, other, "/kids/k", "", proto.Persistent)
	create(t, other, "/soon", "", proto.Persistent)
	close(hold)
	waitState(t, c, client.Connected)
	// The server tells of them in the order of the lists.
	wait(t, c, proto.EventNodeDataChanged, "/data")
	wait(t, c, proto.EventNodeCreated, "/soon")
	wait(t, c, proto.EventNodeChildrenChanged, "/kids")

	if c.SessionID() != id {
		t.Error("another session")
	}
	if ids, err := c.WhoAmI(ctx); err != nil || !slices.Contains(ids, proto.ClientInfo{AuthScheme: "digest", User: "u"}) {
		t.Errorf("whoami: %v %v", ids, err)
	}
	must(other.Exists(ctx, "/eph", false))(t)
	// Those that stand on: the untouched one-shot, the persistent and the recursive.
	must(other.Set(ctx, "/quiet", []byte("x"), -1))(t)
	wait(t, c, proto.EventNodeDataChanged, "/quiet")
	create(t, other, "/rec/x", "", proto.Persistent)
	wait(t, c, proto.EventNodeCreated, "/rec/x")
	create(t, other, "/kids/l", "", proto.Persistent)
	wait(t, c, proto.EventNodeChildrenChanged, "/kids")
	// The one-shots that fired are gone: after a second cut nothing fires for them.
	d.cut()
	waitState(t, c, client.Connected)
	must(other.Set(ctx, "/data", []byte("y"), -1))(t)
	create(t, other, "/rec/y", "", proto.Persistent)
	for {
		e := <-c.Events()
		if e.Path == "/data" {
			t.Error("a used watch fired again")
		}
		if e.Path == "/rec/y" {
			break
		}
	}
}

func TestRemoveWatches(t *testing.T) {
	c := connect(t, client.Options{Servers: servertest.Start(t)})
	ctx := limit(t)
	create(t, c, "/a", "", proto.Persistent)
	if err := c.RemoveWatches(ctx, "/a", proto.WatcherAny, false); err != proto.ErrNoWatcher {
		t.Errorf("without a watch: %v", err)
	}
	must(c.Exists(ctx, "/a", true))(t)
	if _, _, err := c.Children(ctx, "/a", true); err != nil {
		t.Fatal(err)
	}
	if err := c.AddWatch(ctx, "/a", proto.AddWatchRecursive); err != nil {
		t.Fatal(err)
	}
	if err := c.RemoveWatches(ctx, "/a", proto.WatcherChildren, false); err != nil {
		t.Fatal(err)
	}
	wait(t, c, client.ChildWatchRemoved, "/a")
	if err := c.RemoveWatches(ctx, "/a", proto.WatcherAny, false); err != nil {
		t.Fatal(err)
	}
	wait(t, c, client.DataWatchRemoved, "/a")
	wait(t, c, client.PersistentWatchRemoved, "/a")
	must(c.Set(ctx, "/a", []byte("x"), -1))(t)
	before := c.Delivered()
	must(c.Set(ctx, "/a", []byte("y"), -1))(t)
	if c.Delivered() != before {
		t.Error("a removed watch fired")
	}
}

// TestAuthRefused expects the session to survive an identity that the server does not take.
func TestAuthRefused(t *testing.T) {
	c := connect(t, client.Options{Servers: servertest.Start(t), Patience: 10 * time.Second})
	ctx := limit(t)
	if err := c.Connected(ctx); err != nil {
		t.Fatal(err)
	}
	id := c.SessionID()
	if err := c.AddAuth(ctx, "nonsense", []byte("x")); err != proto.ErrAuthFailed {
		t.Errorf("addauth: %v", err)
	}
	if _, _, err := c.Children(ctx, "/", false); err != nil || c.SessionID() != id {
		t.Errorf("after it: %v", err)
	}
}

// TestServerList expects the servers to be tried one after the other.
func TestServerList(t *testing.T) {
	port, err := freeport.Next()
	if err != nil {
		t.Fatal(err)
	}
	dead := fmt.Sprint("127.0.0.1:", port)
	addr := servertest.Start(t)
	c := connect(t, client.Options{Servers: dead + "," + addr + "," + dead})
	if err := c.Connected(limit(t)); err != nil || c.Server() != addr {
		t.Errorf("%v %s", err, c.Server())
	}
	nobody := connect(t, client.Options{Servers: dead})
	_, _, err = nobody.Get(limit(t), "/", false)
	var lost *client.ConnectionError
	if !errors.As(err, &lost) || lost.Lost || !errors.Is(err, proto.ErrConnectionLoss) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("without a server: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := nobody.Connected(short); !errors.As(err, &lost) {
		t.Errorf("waiting for a server: %v", err)
	}
}

func TestClose(t *testing.T) {
	addr := servertest.Start(t)
	other := connect(t, client.Options{Servers: addr})
	c := connect(t, client.Options{Servers: addr})
	create(t, c, "/e", "", proto.Ephemeral)
	if err := c.Close(limit(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exists(limit(t), "/e", false); err != proto.ErrNoNode {
		t.Errorf("the ephemeral node of a closed session: %v", err)
	}
	var last client.Event
	for e := range c.Events() {
		last = e
	}
	if last.State != client.Closed || c.State() != client.Closed {
		t.Errorf("last event %+v, state %v", last, c.State())
	}
	if _, _, err := c.Get(limit(t), "/", false); err != client.ErrClosed {
		t.Errorf("get: %v", err)
	}
	if err := c.Close(limit(t)); err != nil {
		t.Errorf("closed again: %v", err)
	}
}
