package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"zebu/internal/client"
	"zebu/mirror"
	"zebu/proto"
	"zebu/server/servertest"
)

// startEtcd runs an etcd server until the end of the test.
func startEtcd(t *testing.T) (*clientv3.Client, string) {
	t.Helper()
	addr := serveEtcd(t, embed.NewConfig(), "http")
	return etcdClient(t, clientv3.Config{Endpoints: []string{addr}}), addr
}

// serveEtcd runs one that speaks TLS if the scheme is https.
func serveEtcd(t *testing.T, c *embed.Config, scheme string) string {
	t.Helper()
	c.Dir = t.TempDir()
	c.LogLevel = "error"
	c.LogOutputs = []string{"/dev/null"}
	c.UnsafeNoFsync = true
	clients, fellows := url.URL{Scheme: scheme, Host: "127.0.0.1:0"}, url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	c.ListenClientUrls, c.ListenPeerUrls = []url.URL{clients}, []url.URL{fellows}
	c.AdvertiseClientUrls, c.AdvertisePeerUrls = []url.URL{clients}, []url.URL{fellows}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	e, err := embed.StartEtcd(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd does not start")
	}
	return e.Clients[0].Addr().String()
}

func etcdClient(t *testing.T, c clientv3.Config) *clientv3.Client {
	t.Helper()
	c.DialTimeout, c.Logger = 10*time.Second, zap.NewNop()
	cl, err := clientv3.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl
}

// startZebu runs a zebu server until the end of the test.
func startZebu(t *testing.T) (*client.Client, string) {
	t.Helper()
	addr := servertest.Start(t)
	cl, err := client.New(client.Options{Servers: addr})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for range cl.Events() {
		}
	}()
	t.Cleanup(func() { _ = cl.Close(context.Background()) })
	return cl, addr
}

// options are for a copy between two addresses.
func options(t *testing.T, src, dst string) mirror.Options {
	t.Helper()
	s, err := mirror.ParseLocation(src)
	if err != nil {
		t.Fatal(err)
	}
	d, err := mirror.ParseLocation(dst)
	if err != nil {
		t.Fatal(err)
	}
	return mirror.Options{Source: s, Destination: d, ACL: mirror.ACLCopy, Patience: time.Minute}
}

// run copies or compares, and returns what was done and found.
func run(t *testing.T, o mirror.Options, compare bool) (mirror.Progress, []string) {
	t.Helper()
	var steps []string
	o.Report = func(s mirror.Step) { steps = append(steps, s.What+" "+s.Path) }
	o.Warn = func(path string, err error) { steps = append(steps, fmt.Sprintf("failed %s: %v", path, err)) }
	m, err := mirror.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	work := m.Copy
	if compare {
		work = m.Compare
	}
	if err := work(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(steps)
	return m.Progress(), steps
}

// keys are all below a prefix, without it.
func keys(t *testing.T, c *clientv3.Client, prefix string) map[string]string {
	t.Helper()
	r, err := c.Get(t.Context(), prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, kv := range r.Kvs {
		found[strings.TrimPrefix(string(kv.Key), prefix)] = string(kv.Value)
	}
	return found
}

// nodes are all at and below a path, seen from it, "" for itself; but not the server's own.
func nodes(t *testing.T, c *client.Client, path string) map[string]string {
	t.Helper()
	found := map[string]string{}
	var walk func(p string)
	walk = func(p string) {
		if p == "/zookeeper" {
			return
		}
		data, _, err := c.Get(t.Context(), p, false)
		names, _, cerr := c.Children(t.Context(), p, false)
		if errors.Is(err, proto.ErrNoNode) || errors.Is(cerr, proto.ErrNoNode) {
			return
		}
		if err = errors.Join(err, cerr); err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(p, path)] = string(data)
		for _, name := range names {
			walk(client.Join(p, name))
		}
	}
	walk(path)
	return found
}

func create(t *testing.T, c *client.Client, path, data string, mode proto.CreateMode) {
	t.Helper()
	if _, _, err := c.Create(t.Context(), client.Create{Path: path, Data: []byte(data), ACL: client.OpenACL(), Mode: mode}); err != nil {
		t.Fatal(err)
	}
}

// TestThereAndBack copies a tree to etcd, and from there to another path: all is there again but the ACLs.
func TestThereAndBack(t *testing.T) {
	e, etcd := startEtcd(t)
	z, zebu := startZebu(t)
	create(t, z, "/tree", "root", proto.Persistent)
	want := map[string]string{"": "root"}
	for i := range 3000 {
		p := fmt.Sprintf("/d%d", i%30)
		if i >= 30 {
			p += fmt.Sprintf("/n %d-ü", i)
		}
		want[p] = strings.Repeat("x", i%300)
		create(t, z, "/tree"+p, want[p], proto.Persistent)
	}
	create(t, z, "/tree/eph", "x", proto.Ephemeral)
	if _, err := e.Put(t.Context(), "/appendix", "not below /app"); err != nil {
		t.Fatal(err)
	}
	p, bad := run(t, options(t, zebu+"/tree", "etcd://"+etcd+"/app"), false)
	if p.Created != int64(len(want)) || p.Ephemerals != 1 || len(bad) > 0 {
		t.Errorf("%+v %q", p, bad)
	}
	got := keys(t, e, "/app")
	delete(got, "endix")
	if !maps.Equal(got, want) {
		t.Fatalf("etcd has %d keys, want %d", len(got), len(want))
	}
	if p, bad := run(t, options(t, "etcd://"+etcd+"/app", zebu+"/back/there"), false); p.Created != int64(len(want)) || len(bad) > 0 {
		t.Errorf("%+v %q", p, bad)
	}
	if got := nodes(t, z, "/back/there"); !maps.Equal(got, want) {
		t.Fatalf("%d nodes are back, want %d", len(got), len(want))
	}
	if p, bad := run(t, options(t, zebu+"/tree", "etcd://"+etcd+"/app"), false); p.Created+p.Updated != 0 || len(bad) > 0 {
		t.Errorf("again: %+v %q", p, bad)
	}
	for _, key := range []string{"/app/d1", "/app/d2/only/here"} {
		if _, err := e.Put(t.Context(), key, "other"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Delete(t.Context(), "/app/d3"); err != nil {
		t.Fatal(err)
	}
	o := options(t, zebu+"/tree", "etcd://"+etcd+"/app")
	if _, found := run(t, o, true); !slices.Equal(found, []string{"data /d1", "extra /d2/only/here", "missing /d3"}) {
		t.Errorf("differences: %q", found)
	}
	o.Delete = true
	run(t, o, false)
	if p, found := run(t, o, true); p.Differences != 0 {
		t.Errorf("differences after a copy: %q", found)
	}
}

// TestForeignKeys copies keys that were not made from nodes.
func TestForeignKeys(t *testing.T) {
	e, etcd := startEtcd(t)
	z, zebu := startZebu(t)
	lease, err := e.Grant(t.Context(), 3600)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"svc/a/b/c", "svc/a-b", "svc/a/", "svc//x", "svc", "svcs/no", "sv"} {
		if _, err := e.Put(t.Context(), key, key); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Put(t.Context(), "svc/leased", "l", clientv3.WithLease(lease.ID)); err != nil {
		t.Fatal(err)
	}
	p, bad := run(t, options(t, "etcd://"+etcd+"?prefix=svc", zebu+"/svc"), false)
	want := map[string]string{"": "svc", "/a": "", "/a/b": "", "/a/b/c": "svc/a/b/c", "/a-b": "svc/a-b"}
	if got := nodes(t, z, "/svc"); !maps.Equal(got, want) || p.Unmappable != 2 || p.Ephemerals != 1 || len(bad) > 0 {
		t.Errorf("%q %+v %q", got, p, bad)
	}
	if p, found := run(t, options(t, "etcd://"+etcd+"?prefix=svc", zebu+"/svc"), true); p.Differences != 0 {
		t.Errorf("differences: %q", found)
	}
	// Between prefixes only keys are copied, not what they imply.
	run(t, options(t, "etcd://"+etcd+"?prefix=svc", "etcd://"+etcd+"/other"), false)
	if got, want := keys(t, e, "/other"), (map[string]string{"": "svc", "/a/b/c": "svc/a/b/c", "/a-b": "svc/a-b"}); !maps.Equal(got, want) {
		t.Errorf("etcd to etcd: %q", got)
	}
}

// TestFollow follows from etcd to zebu, and from there to another prefix.
func TestFollow(t *testing.T) {
	e, etcd := startEtcd(t)
	z, zebu := startZebu(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := e.Put(ctx, "/a", "root"); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	first := make(chan struct{})
	for i, ends := range [][2]string{{"etcd://" + etcd + "/a", zebu + "/b"}, {zebu + "/b", "etcd://" + etcd + "/c"}} {
		if i == 1 {
			create(t, z, "/b", "", proto.Persistent)
			close(first)
		}
		m, err := mirror.Open(ctx, options(t, ends[0], ends[1]))
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			defer m.Close()
			<-first
			if err := m.Follow(ctx, 0); err != nil && ctx.Err() == nil {
				t.Errorf("%v: %v", ends, err)
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		for range 50 {
			key := fmt.Sprintf("/a/k%d", random.IntN(20))
			if random.IntN(2) == 0 {
				key += fmt.Sprintf("/x/k%d", random.IntN(20))
			}
			var err error
			if random.IntN(3) == 0 {
				_, err = e.Delete(ctx, key)
			} else {
				_, err = e.Put(ctx, key, fmt.Sprint(random.Int()))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		want := keys(t, e, "/a")
		for key := range maps.Clone(want) { // what keys imply
			for i := strings.LastIndexByte(key, '/'); i > 0; i = strings.LastIndexByte(key[:i], '/') {
				if _, ok := want[key[:i]]; !ok {
					want[key[:i]] = ""
				}
			}
		}
		await(t, func() bool {
			// A key whose value is gone leaves the node's as it was, if there are keys below: neither end says what it is.
			return sameKeys(want, nodes(t, z, "/b")) && sameKeys(want, keys(t, e, "/c"))
		}, func() string {
			return fmt.Sprintf("want %q\nzebu %q\netcd %q", want, nodes(t, z, "/b"), keys(t, e, "/c"))
		})
	}
	cancel()
	running.Wait()
}

func sameKeys(a, b map[string]string) bool { return maps.Equal(a, b) }

// await calls f until it holds.
func await(t *testing.T, f func() bool, seen func() string) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal(seen())
		}
	}
}
