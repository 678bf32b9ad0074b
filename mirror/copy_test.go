package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"zebu/internal/client"
	"zebu/mirror"
	"zebu/proto"
	"zebu/server/servertest"
)

// startServer runs a zebu server until the end of the test, and returns a session with it and its address.
func startServer(t *testing.T) (*client.Client, string) {
	t.Helper()
	addr := servertest.Start(t)
	cl, err := client.New(client.Options{Servers: addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close(context.Background()) })
	return cl, addr
}

// plant makes nodes from "path=data", "path=data ephemeral".
func plant(t *testing.T, c *client.Client, nodes ...string) {
	t.Helper()
	for _, n := range nodes {
		mode := proto.Persistent
		n, ephemeral := strings.CutSuffix(n, " ephemeral")
		if ephemeral {
			mode = proto.Ephemeral
		}
		path, data, _ := strings.Cut(n, "=")
		if _, _, err := c.Create(t.Context(), client.Create{Path: path, Data: []byte(data), ACL: client.OpenACL(), Mode: mode}); err != nil {
			t.Fatal(path, err)
		}
	}
}

// tree is what is below a path, as plant takes it. Nodes that are deleted meanwhile may be missing.
func tree(t *testing.T, c *client.Client, path string) (found []string) {
	t.Helper()
	names, _, err := c.Children(t.Context(), path, false)
	if errors.Is(err, proto.ErrNoNode) {
		return nil
	}
	if err != nil {
		t.Fatal(path, err)
	}
	for _, name := range names {
		p := client.Join(path, name)
		if p == "/zookeeper" {
			continue
		}
		data, st, err := c.Get(t.Context(), p, false)
		if errors.Is(err, proto.ErrNoNode) {
			continue
		}
		if err != nil {
			t.Fatal(p, err)
		}
		n := p + "=" + string(data)
		if st.EphemeralOwner != 0 {
			n += " ephemeral"
		}
		found = append(append(found, n), tree(t, c, p)...)
	}
	return found
}

type pass func(*mirror.Mirror, context.Context) error

// run does a pass and returns what was done, and what was reported.
func run(t *testing.T, o mirror.Options, src, dst string, do pass) (mirror.Progress, []string) {
	t.Helper()
	var err, derr error
	o.Source, err = mirror.ParseLocation(src)
	o.Destination, derr = mirror.ParseLocation(dst)
	if err = errors.Join(err, derr); err != nil {
		t.Fatal(err)
	}
	if o.ACL == "" {
		o.ACL = mirror.ACLCopy
	}
	var told []string
	o.Report = func(s mirror.Step) { told = append(told, s.What+" "+s.Path) }
	o.Warn = func(path string, err error) { told = append(told, fmt.Sprintf("failed %s: %v", path, err)) }
	m, err := mirror.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := do(m, t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(told)
	return m.Progress(), told
}

func TestCopy(t *testing.T) {
	for _, c := range []struct {
		name           string
		o              mirror.Options
		src, dst, want []string // below /s and /d
		told           string
		difference     string // what verify finds afterwards
	}{
		{"all", mirror.Options{}, []string{"/a=1", "/a/b=2", "/c="}, nil, []string{"/a=1", "/a/b=2", "/c="}, "", ""},
		{"only differences, extra stays", mirror.Options{}, []string{"/a=1", "/a/b=2"}, []string{"/a=0", "/x=9", "/x/y="},
			[]string{"/a=1", "/a/b=2", "/x=9", "/x/y="}, "", "extra /x,extra /x/y"},
		{"delete", mirror.Options{Delete: true}, []string{"/a=1"}, []string{"/a=1", "/a/z=", "/x=9", "/x/y="}, []string{"/a=1"}, "", ""},
		{"delete spares ephemerals", mirror.Options{Delete: true}, []string{"/a=1"}, []string{"/x=9", "/x/y=", "/x/e=5 ephemeral"},
			[]string{"/a=1", "/x=9", "/x/e=5 ephemeral"}, "", "extra /x"},
		{"delete spares what is excluded", mirror.Options{Delete: true, Exclude: []string{"keep"}}, []string{"/a=1", "/keep=s"}, []string{"/x=9", "/x/keep=", "/keep=d", "/y="},
			[]string{"/a=1", "/keep=d", "/x=9", "/x/keep="}, "", "extra /x"},
		{"ephemerals are skipped", mirror.Options{}, []string{"/a=1", "/a/e=2 ephemeral"}, nil, []string{"/a=1"}, "", ""},
		{"ephemerals are copied", mirror.Options{Ephemerals: true}, []string{"/a=1", "/a/e=2 ephemeral"}, nil, []string{"/a=1", "/a/e=2"}, "", ""},
		{"an ephemeral node in the way", mirror.Options{}, []string{"/a=1", "/b=2"}, []string{"/a=1 ephemeral"}, []string{"/a=1 ephemeral", "/b=2"},
			"failed /a: an ephemeral node of that name is at the destination", "failed /a: an ephemeral node of that name is at the destination"},
		{"include, with what is above", mirror.Options{Include: []string{"/a/b/c"}}, []string{"/a=1", "/a/b=2", "/a/b/c=3", "/a/b/c/d=4", "/a/x=5", "/y=6"}, nil,
			[]string{"/a=1", "/a/b=2", "/a/b/c=3", "/a/b/c/d=4"}, "", ""},
		{"include leaves alone what is above", mirror.Options{Include: []string{"c"}, Delete: true}, []string{"/a=1", "/a/c=3"}, []string{"/a=0", "/z=1", "/z/c=1"},
			[]string{"/a=0", "/a/c=3", "/z=1"}, "", ""},
		{"exclude", mirror.Options{Exclude: []string{"/a/b", "x*"}}, []string{"/a=1", "/a/b=2", "/a/b/c=3", "/a/c=4", "/a/c/xyz=5"}, nil, []string{"/a=1", "/a/c=4"}, "", ""},
		{"dry run", mirror.Options{DryRun: true, Delete: true}, []string{"/a=1", "/a/b=2"}, []string{"/a=0", "/x=", "/x/y="}, []string{"/a=0", "/x=", "/x/y="},
			"create /a/b,delete /x,delete /x/y,set /a", "data /a,extra /x,extra /x/y,missing /a/b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := func(root string, nodes []string) []string {
				list := []string{root + "="}
				for _, n := range nodes {
					list = append(list, root+n)
				}
				return list
			}
			a, src := startServer(t)
			b, dst := startServer(t)
			plant(t, a, at("/s", c.src)...)
			plant(t, b, at("/d", c.dst)...)
			if _, told := run(t, c.o, src+"/s", dst+"/d", (*mirror.Mirror).Copy); strings.Join(told, ",") != c.told {
				t.Errorf("told %q, want %q", told, c.told)
			}
			if got, want := tree(t, b, "/"), at("/d", c.want); !slices.Equal(got, want) {
				t.Errorf("copied\n%q, want\n%q", got, want)
			}
			if got, want := tree(t, a, "/"), at("/s", c.src); !slices.Equal(got, want) {
				t.Errorf("the source has become\n%q, from\n%q", got, want)
			}
			o := c.o
			o.DryRun = false
			p, told := run(t, o, src+"/s", dst+"/d", (*mirror.Mirror).Compare)
			if strings.Join(told, ",") != c.difference {
				t.Errorf("differences %q, want %q", told, c.difference)
			}
			if found := int64(len(told)) - p.Failed; p.Differences != found {
				t.Errorf("%d differences counted, %d told", p.Differences, found)
			}
		})
	}
}

// TestCopyRoots copies whole trees, without the servers' own nodes, to and from roots.
func TestCopyRoots(t *testing.T) {
	a, src := startServer(t)
	b, dst := startServer(t)
	c, third := startServer(t)
	plant(t, a, "/a=1", "/a/b-0000000007=2", "/zoo=3")
	p, told := run(t, mirror.Options{Delete: true}, src, dst, (*mirror.Mirror).Copy)
	if got := tree(t, b, "/"); !slices.Equal(got, tree(t, a, "/")) || len(got) != 3 || p.Created != 3 || p.Sequential != 1 || len(told) > 0 {
		t.Errorf("%q, %+v, %q", got, p, told)
	}
	run(t, mirror.Options{}, src, third+"/x/y", (*mirror.Mirror).Copy)
	if got, want := tree(t, c, "/"), []string{"/x=", "/x/y=", "/x/y/a=1", "/x/y/a/b-0000000007=2", "/x/y/zoo=3"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOpenErrors(t *testing.T) {
	_, addr := startServer(t)
	other, err := mirror.ParseLocation("localhost" + addr[strings.LastIndexByte(addr, ':'):])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		src, dst string
		o        mirror.Options
		option   bool
	}{
		"overlap":     {addr + "/a", addr + "/a/b", mirror.Options{}, true},
		"pattern":     {addr + "/a", addr + "/b", mirror.Options{Include: []string{"a["}}, true},
		"reserved":    {addr + "/a", addr + "/zookeeper/quota", mirror.Options{}, true},
		"etcd's auth": {"etcd://" + addr + "/a", addr + "/b", mirror.Options{SourceAuth: []mirror.Auth{{Scheme: "digest", Credentials: "a:b"}}}, true},
		"identity":    {addr + "/a", addr + "/b", mirror.Options{SourceAuth: []mirror.Auth{{Scheme: "nonsense"}}}, false},
		"no server":   {addr + "/a", "127.0.0.1:1/b", mirror.Options{}, false},
	} {
		o := c.o
		o.Source, _ = mirror.ParseLocation(c.src)
		o.Destination, _ = mirror.ParseLocation(c.dst)
		m, err := mirror.Open(t.Context(), o)
		var option *mirror.OptionError
		if err == nil || errors.As(err, &option) != c.option {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			m.Close()
		}
	}
	o := mirror.Options{Source: other, Destination: other, ACL: mirror.ACLCopy}
	o.Source.Root, o.Destination.Root = "/none", "/b"
	m, err := mirror.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Copy(t.Context()); !errors.Is(err, mirror.ErrNoSource) {
		t.Errorf("no source: %v", err)
	}
}

// TestFollowDeletes follows with and without Delete: deletions at the source are copied either way.
func TestFollowDeletes(t *testing.T) {
	for _, all := range []bool{false, true} {
		t.Run(fmt.Sprint(all), func(t *testing.T) {
			a, src := startServer(t)
			b, dst := startServer(t)
			plant(t, a, "/s=", "/s/a=1", "/s/a/b=2", "/s/c=3", "/s/e=4 ephemeral")
			plant(t, b, "/d=", "/d/x=8", "/d/c=", "/d/c/own=9")
			o := mirror.Options{Delete: all, ACL: mirror.ACLCopy, Patience: time.Minute}
			o.Source, _ = mirror.ParseLocation(src + "/s")
			o.Destination, _ = mirror.ParseLocation(dst + "/d")
			m, err := mirror.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- m.Follow(ctx, 0) }()
			await := func(want ...string) {
				t.Helper()
				var got []string
				for deadline := time.After(20 * time.Second); !slices.Equal(got, want); {
					if got = tree(t, b, "/d"); slices.Equal(got, want) {
						return
					}
					select {
					case <-time.After(10 * time.Millisecond):
					case err := <-done:
						t.Fatal(err)
					case <-deadline:
						t.Fatalf("%q, want %q", got, want)
					}
				}
			}
			if all {
				await("/d/a=1", "/d/a/b=2", "/d/c=3")
			} else {
				await("/d/a=1", "/d/a/b=2", "/d/c=3", "/d/c/own=9", "/d/x=8")
			}
			plant(t, b, "/d/c/late=10")
			for _, p := range []string{"/s/a/b", "/s/a", "/s/c", "/s/e"} {
				if err := a.Delete(t.Context(), p, client.AnyVersion); err != nil {
					t.Fatal(err)
				}
			}
			plant(t, a, "/s/a=again", "/s/a/deep=1", "/s/a/deep/er=2")
			if all {
				await("/d/a=again", "/d/a/deep=1", "/d/a/deep/er=2")
			} else {
				await("/d/a=again", "/d/a/deep=1", "/d/a/deep/er=2", "/d/c=3", "/d/c/late=10", "/d/c/own=9", "/d/x=8")
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if p := m.Progress(); !p.Following || p.Failed > 0 || !all && p.Kept != 1 {
				t.Errorf("%+v", p)
			}
		})
	}
}
