package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	ours "zebu/internal/client"
	"zebu/internal/peers"
	"zebu/proto"
)

// copyRun is a running 'zebu copy'.
type copyRun struct {
	cmd       *exec.Cmd
	out, errs bytes.Buffer
	done      chan struct{}
}

func startCopy(t *testing.T, args ...string) *copyRun {
	t.Helper()
	r := &copyRun{cmd: exec.Command(zebu(t).Binary, append([]string{"copy", "-o", "json"}, args...)...), done: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errs
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.done)
		_ = r.cmd.Wait() // the exit code is looked at
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.done
	})
	return r
}

// copySummary is what a copy's last line says.
type copySummary struct {
	Result                                                                          string
	Visited, Created, Updated, Deleted, Failed, Differences, Changes, Pending, Kept int
	Passes                                                                          int
	ACLs                                                                            int `json:"acls_changed"`
	Ephemerals                                                                      int `json:"ephemerals_skipped"`
}

// wait returns the exit code, the lines before the summary, and the summary.
func (r *copyRun) wait(t *testing.T) (int, []string, copySummary) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(2 * time.Minute):
		t.Fatalf("the copy does not end:\n%s", &r.errs)
	}
	lines := strings.Split(strings.TrimSpace(r.out.String()), "\n")
	var s copySummary
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		t.Fatalf("%v: %s\n%s", err, &r.out, &r.errs)
	}
	return r.cmd.ProcessState.ExitCode(), lines[:len(lines)-1], s
}

// mustCopy runs a copy that must end with a code, and returns its summary.
func mustCopy(t *testing.T, code int, args ...string) ([]string, copySummary) {
	t.Helper()
	r := startCopy(t, args...)
	got, lines, s := r.wait(t)
	if got != code {
		t.Fatalf("zebu copy %v: exit code %d, want %d\n%s\n%s", args, got, code, &r.out, &r.errs)
	}
	return lines, s
}

func session(t *testing.T, addr string) *ours.Client {
	t.Helper()
	c, err := ours.New(ours.Options{Servers: addr, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = c.Close(ctx)
	})
	go func() {
		for range c.Events() {
		}
	}()
	return c
}

// digestACL is that of joe, who is nobody here.
var digestACL = append(ours.OpenACL(), proto.ACL{Perms: proto.PermRead, ID: proto.ID{Scheme: "ip", ID: "10.1.2.0/24"}})

// plant makes a tree of n nodes below root: flat and deep parts, data of every kind, two ACLs.
func plant(t *testing.T, c *ours.Client, root string, n int) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	dirs := []string{root}
	var ops []ours.Op
	flush := func() {
		if err := c.Multi(t.Context(), ops); err != nil {
			t.Fatal(err)
		}
		ops = ops[:0]
	}
	for i := range n {
		o := ours.Op{Op: proto.OpCreate, Path: root, ACL: ours.OpenACL()}
		if i > 0 {
			o.Path = ours.Join(dirs[random.IntN(len(dirs))], fmt.Sprintf("n %d ü", i))
		}
		switch i % 5 {
		case 0: // null
		case 1:
			o.Data = []byte{}
		default:
			o.Data = bytes.Repeat([]byte{byte(i)}, random.IntN(200))
		}
		if i%7 == 0 {
			o.ACL = digestACL
		}
		if i == n/2 {
			o.Data = bytes.Repeat([]byte("large"), 180_000)
			flush()
		}
		if ops = append(ops, o); len(ops) == 500 || i == n/2 {
			flush()
		}
		if i%50 == 1 && i != n/2 {
			dirs = append(dirs, o.Path)
		}
	}
	flush()
}

// treeAt is what a tree holds: path -> data and ACL, or an error's text.
func treeAt(t *testing.T, c *ours.Client, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	var mu sync.Mutex
	level := []string{root}
	for len(level) > 0 {
		var next []string
		var group errgroup.Group
		group.SetLimit(100)
		for _, p := range level {
			group.Go(func() error {
				data, st, err := c.Get(t.Context(), p, false)
				var acl []proto.ACL
				var children []string
				if err == nil {
					acl, _, err = c.ACL(t.Context(), p)
				}
				if err == nil {
					children, _, err = c.Children(t.Context(), p, false)
				}
				if errors.Is(err, proto.ErrNoNode) || st.EphemeralOwner != 0 {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				found[strings.TrimPrefix(p, root)] = fmt.Sprintf("%v %x %v", data == nil, data, acl)
				for _, name := range children {
					next = append(next, ours.Join(p, name))
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		level = next
	}
	return found
}

// unlike names a few of the paths at which dumps differ.
func unlike(a, b map[string]string) (paths []string) {
	for p := range a {
		if a[p] != b[p] {
			paths = append(paths, p)
		}
	}
	for p := range b {
		if _, ok := a[p]; !ok {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths[:min(len(paths), 10)]
}

const copyNodes = 20_000

// TestCopyRoundTrip copies a tree from Apache ZooKeeper to zebu and back to another path, with an interruption and a lost
// connection on the way, and then plants differences.
func TestCopyRoundTrip(t *testing.T) {
	t.Parallel()
	makers := bothMakers(t)
	var servers [2]*peers.Server
	var sessions [2]*ours.Client
	for i, m := range makers {
		servers[i] = start(t, m, scenarioConfig(t.TempDir()))
		sessions[i] = session(t, servers[i].Addr)
	}
	src := "zk://" + servers[0].Addr + "/tree"
	plant(t, sessions[0], "/tree", copyNodes)
	for _, mode := range []proto.CreateMode{proto.Ephemeral, proto.Container} {
		if _, _, err := sessions[0].Create(t.Context(), ours.Create{Path: fmt.Sprintf("/tree/mode%d", mode), ACL: ours.OpenACL(), Mode: mode}); err != nil {
			t.Fatal(err)
		}
	}
	want := treeAt(t, sessions[0], "/tree")
	if len(want) != copyNodes+1 {
		t.Fatalf("%d nodes planted", len(want))
	}
	p := newProxy(t, servers[1].Addr)
	reached := func(root string, n int) func() bool {
		return func() bool {
			got, err := sessions[1].Descendants(t.Context(), root)
			return err == nil && got >= n
		}
	}

	if lines, s := mustCopy(t, 0, src, servers[1].Addr+"/far/away/copy", "--dry-run"); s.Created != copyNodes+1 || len(lines) != s.Created {
		t.Errorf("dry run: %+v, %d lines", s, len(lines))
	}
	if reached("/far", 0)() {
		t.Fatal("a dry run has created something")
	}

	r := startCopy(t, src, p.addr()+"/far/away/copy")
	poll(t, time.Minute, "copied nodes", reached("/far/away/copy", 2000))
	p.holdReplies()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code, _, s := r.wait(t); code != 130 || s.Result != "interrupted" {
		t.Fatalf("interrupted: code %d, %+v\n%s", code, s, &r.errs)
	}
	p.set(servers[1].Addr, true)
	had := len(treeAt(t, sessions[1], "/far/away/copy"))
	if had >= len(want) {
		t.Fatalf("%d nodes were copied before the interruption", had)
	}
	p.set(servers[1].Addr, false)

	r = startCopy(t, src, p.addr()+"/far/away/copy")
	poll(t, time.Minute, "nodes of the second run", reached("/far/away/copy", (had+copyNodes)/2))
	p.set(servers[1].Addr, true)
	p.set(servers[1].Addr, false)
	code, _, s := r.wait(t)
	if code != 0 || s.Created < len(want)-had-2*500 || s.Created > len(want)-had || s.Failed != 0 || s.Ephemerals != 1 {
		t.Errorf("resumed with %d of %d nodes there: code %d, %+v\n%s", had, len(want), code, s, &r.errs)
	}
	if bad := unlike(want, treeAt(t, sessions[1], "/far/away/copy")); len(bad) > 0 {
		t.Fatalf("copied otherwise: %q", bad)
	}

	if _, s := mustCopy(t, 0, servers[1].Addr+"/far/away/copy", servers[0].Addr+"/back"); s.Created != len(want) {
		t.Errorf("back: %+v", s)
	}
	if bad := unlike(want, treeAt(t, sessions[0], "/back")); len(bad) > 0 {
		t.Fatalf("copied back otherwise: %q", bad)
	}
	if _, s := mustCopy(t, 0, src, servers[0].Addr+"/back"); s.Created+s.Updated+s.ACLs+s.Deleted != 0 {
		t.Errorf("a second copy writes: %+v", s)
	}
	mustCopy(t, 0, "--verify", src, servers[0].Addr+"/back")
	plantDifferences(t, sessions[0], src, servers[0].Addr+"/back", want)
}

// plantDifferences spoils a copy at /back and lets verify find what it has done, and copy repair it.
func plantDifferences(t *testing.T, c *ours.Client, src, dst string, want map[string]string) {
	t.Helper()
	var leaves []string
	for p := range want {
		if strings.Count(p, "/") == 1 && p != "/mode4" {
			if names, _, err := c.Children(t.Context(), "/back"+p, false); err == nil && len(names) == 0 {
				leaves = append(leaves, p)
			}
		}
	}
	slices.Sort(leaves)
	_, setErr := c.Set(t.Context(), "/back"+leaves[0], []byte("spoilt"), -1)
	_, aclErr := c.SetACL(t.Context(), "/back"+leaves[1], []proto.ACL{{Perms: proto.PermRead | proto.PermAdmin, ID: proto.ID{Scheme: "world", ID: "anyone"}}}, -1)
	delErr := c.Delete(t.Context(), "/back"+leaves[2], -1)
	_, _, mkErr := c.Create(t.Context(), ours.Create{Path: "/back/extra", ACL: ours.OpenACL()})
	_, _, mkErr2 := c.Create(t.Context(), ours.Create{Path: "/back/extra/below", ACL: ours.OpenACL()})
	if err := errors.Join(setErr, aclErr, delErr, mkErr, mkErr2); err != nil {
		t.Fatal(err)
	}
	lines, s := mustCopy(t, 1, "--verify", src, dst)
	slices.Sort(lines)
	expected := []string{
		fmt.Sprintf(`{"what":"acl","path":%q}`, leaves[1]), fmt.Sprintf(`{"what":"data","path":%q}`, leaves[0]),
		`{"what":"extra","path":"/extra"}`, `{"what":"extra","path":"/extra/below"}`, fmt.Sprintf(`{"what":"missing","path":%q}`, leaves[2]),
	}
	if !slices.Equal(lines, expected) || s.Result != "different" || s.Differences != 5 {
		t.Errorf("verify found\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(expected, "\n"))
	}
	if _, s := mustCopy(t, 0, src, dst); s.Created != 1 || s.Updated != 1 || s.ACLs != 1 || s.Deleted != 0 {
		t.Errorf("repair: %+v", s)
	}
	if _, s := mustCopy(t, 0, src, dst, "--delete"); s.Created+s.Updated+s.ACLs != 0 || s.Deleted != 2 {
		t.Errorf("repair with --delete: %+v", s)
	}
	mustCopy(t, 0, "--verify", src, dst)
}

// TestCopyACLs copies nodes whose ACLs a server shows in full to some only.
func TestCopyACLs(t *testing.T) {
	t.Parallel()
	makers := bothMakers(t)
	for i := range makers {
		t.Run("from "+makers[i].Name(), func(t *testing.T) {
			src, dst := start(t, makers[i], scenarioConfig(t.TempDir())), start(t, makers[1-i], scenarioConfig(t.TempDir()))
			a, b := session(t, src.Addr), session(t, dst.Addr)
			if err := a.AddAuth(t.Context(), "digest", []byte("joe:secret")); err != nil {
				t.Fatal(err)
			}
			mine := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}, {Perms: proto.PermRead, ID: proto.ID{Scheme: "world", ID: "anyone"}}}
			for _, n := range []ours.Create{{Path: "/tree", ACL: ours.OpenACL()}, {Path: "/tree/mine", Data: []byte("mine"), ACL: mine}} {
				if _, _, err := a.Create(t.Context(), n); err != nil {
					t.Fatal(err)
				}
			}
			if _, s := mustCopy(t, 1, src.Addr+"/tree", dst.Addr+"/tree"); s.Created != 1 || s.Failed != 1 {
				t.Errorf("with a masked ACL: %+v", s)
			}
			mustCopy(t, 0, src.Addr+"/tree", dst.Addr+"/tree", "--src-auth", "digest:joe:secret")
			if err := b.AddAuth(t.Context(), "digest", []byte("joe:secret")); err != nil {
				t.Fatal(err)
			}
			if bad := unlike(treeAt(t, a, "/tree"), treeAt(t, b, "/tree")); len(bad) > 0 {
				t.Errorf("copied otherwise: %q", bad)
			}
			mustCopy(t, 0, src.Addr+"/tree", dst.Addr+"/open", "--acl=open")
			if acl, _, err := b.ACL(t.Context(), "/open/mine"); err != nil || !slices.Equal(acl, ours.OpenACL()) {
				t.Errorf("--acl=open: %v %v", acl, err)
			}
		})
	}
}

// TestCopySmallBuffer copies to a server that takes only small requests, and closes the connection at others: transactions shrink, and
// what alone is too large fails by itself.
func TestCopySmallBuffer(t *testing.T) {
	t.Parallel()
	for _, m := range bothMakers(t) {
		t.Run(m.Name(), func(t *testing.T) {
			t.Parallel()
			config := scenarioConfig(t.TempDir())
			src := start(t, zebu(t), scenarioConfig(t.TempDir()))
			config.Properties = append(config.Properties, "jute.maxbuffer=100000")
			dst := start(t, m, config)
			a, b := session(t, src.Addr), session(t, dst.Addr)
			for i := range 101 {
				n := ours.Create{Path: "/tree", Data: bytes.Repeat([]byte("x"), 10_000), ACL: ours.OpenACL()}
				if i > 0 {
					n.Path = fmt.Sprintf("/tree/n%d", i)
				}
				if i == 50 {
					n.Data = bytes.Repeat([]byte("x"), 200_000)
				}
				if _, _, err := a.Create(t.Context(), n); err != nil {
					t.Fatal(err)
				}
			}
			if _, s := mustCopy(t, 1, src.Addr+"/tree", dst.Addr+"/tree"); s.Created != 100 || s.Failed != 1 {
				t.Errorf("%+v", s)
			}
			if bad := unlike(treeAt(t, a, "/tree"), treeAt(t, b, "/tree")); !slices.Equal(bad, []string{"/n50"}) {
				t.Errorf("not copied: %q", bad)
			}
		})
	}
}

// TestCopyFollow writes to a tree while it is followed, cuts the connections to either end for a moment, and to the source until
// the session is lost.
func TestCopyFollow(t *testing.T) {
	t.Parallel()
	makers := bothMakers(t)
	for i := range makers {
		t.Run("from "+makers[i].Name(), func(t *testing.T) {
			t.Parallel()
			config := func() peers.Config {
				c := scenarioConfig(t.TempDir())
				c.Extra = append(c.Extra, "maxSessionTimeout=1500", "tickTime=500")
				return c
			}
			src, dst := start(t, makers[i], config()), start(t, makers[1-i], config())
			follow(t, src, dst)
		})
	}
}

func follow(t *testing.T, src, dst *peers.Server) {
	a, b := session(t, src.Addr), session(t, dst.Addr)
	plant(t, a, "/tree", 500)
	toSrc, toDst := newProxy(t, src.Addr), newProxy(t, dst.Addr)
	if _, _, err := b.Create(t.Context(), ours.Create{Path: "/copy", ACL: ours.OpenACL()}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Create(t.Context(), ours.Create{Path: "/copy/own", ACL: ours.OpenACL()}); err != nil {
		t.Fatal(err)
	}
	r := startCopy(t, toSrc.addr()+"/tree", toDst.addr()+"/copy", "--follow")
	var at string
	equal := func() bool {
		got := treeAt(t, b, "/copy")
		delete(got, "/own")
		bad := unlike(treeAt(t, a, "/tree"), got)
		at = fmt.Sprintf("%q", bad)
		return len(bad) == 0
	}
	poll(t, time.Minute, "first pass", equal, &at)

	random := rand.New(rand.NewPCG(3, 4))
	write(t, a, random, 300)
	poll(t, time.Minute, "copied changes", equal, &at)
	for _, p := range []*proxy{toSrc, toDst} {
		target := map[*proxy]string{toSrc: src.Addr, toDst: dst.Addr}[p]
		p.set(target, true)
		write(t, a, random, 300)
		p.set(target, false)
		write(t, a, random, 100)
		poll(t, time.Minute, "catch-up after a lost connection", equal, &at)
	}
	ids := regexp.MustCompile(`0x[0-9a-f]{12,}`)
	for p, server := range map[*proxy]*peers.Server{toSrc: src, toDst: dst} {
		p.set(server.Addr, true)
		write(t, a, random, 300)
		poll(t, time.Minute, "expiry", func() bool {
			text, err := peers.FourLetterWord(server.Addr, "dump")
			sessions := map[string]bool{}
			for _, id := range ids.FindAllString(text, -1) {
				sessions[id] = true
			}
			return err == nil && len(sessions) == 1 // our own
		})
		p.set(server.Addr, false)
		write(t, a, random, 100)
		poll(t, time.Minute, "catch-up after a lost session", equal, &at)
		write(t, a, random, 100)
		poll(t, time.Minute, "changes after a lost session", equal, &at)
	}

	select {
	case <-r.done:
		t.Fatalf("it has ended: %s", &r.errs)
	default:
	}
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	code, _, s := r.wait(t)
	if code != 0 || s.Result != "done" || s.Changes < 100 || s.Deleted == 0 || s.Failed != 0 || s.Passes < 3 {
		t.Errorf("code %d, %+v\n%s", code, s, &r.errs)
	}
	if _, err := b.Exists(t.Context(), "/copy/own", false); err != nil {
		t.Errorf("what only the destination had: %v", err)
	}
}

// write changes the tree n times: creations, below what was just created too, new data, deletions, and deletions undone.
func write(t *testing.T, c *ours.Client, random *rand.Rand, n int) {
	t.Helper()
	for range n {
		dir := "/tree"
		if random.IntN(3) == 0 {
			dir = fmt.Sprintf("/tree/w%d", random.IntN(40))
		}
		path := fmt.Sprintf("%s/w%d", dir, random.IntN(40))
		var err error
		switch random.IntN(4) {
		case 0, 1:
			_, _, err = c.Create(t.Context(), ours.Create{Path: path, Data: fmt.Append(nil, random.Int()), ACL: ours.OpenACL()})
		case 2:
			_, err = c.Set(t.Context(), path, fmt.Append(nil, random.Int()), -1)
		case 3:
			err = c.Delete(t.Context(), path, -1)
		}
		var code proto.ErrCode
		if err != nil && !errors.As(err, &code) {
			t.Fatal(err)
		}
	}
}
