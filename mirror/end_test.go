package mirror

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseLocation(t *testing.T) {
	for s, want := range map[string]Location{
		"h":                          {Servers: []string{"h:2181"}, Root: "/"},
		"zk://h:1,g:2/a/b":           {Servers: []string{"h:1", "g:2"}, Root: "/a/b"},
		"zk://h/":                    {Servers: []string{"h:2181"}, Root: "/"},
		"etcd://h,g:1/app/":          {Etcd: true, Servers: []string{"h:2379", "g:1"}, Root: "/app"},
		"etcd://h":                   {Etcd: true, Servers: []string{"h:2379"}},
		"etcd://h/":                  {Etcd: true, Servers: []string{"h:2379"}},
		"etcd://h?prefix=app/x/":     {Etcd: true, Servers: []string{"h:2379"}, Root: "app/x"},
		"etcd://joe:a%40b@[::1]:1/x": {Etcd: true, Servers: []string{"[::1]:1"}, Root: "/x", User: "joe", Password: "a@b"},
		"etcds://h/x":                {Etcd: true, Servers: []string{"h:2379"}, Root: "/x", TLS: &TLS{}},
		"etcd://[::1]/x":             {Etcd: true, Servers: []string{"[::1]:2379"}, Root: "/x"},
	} {
		got, err := ParseLocation(s)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", s, got, err, want)
		}
		if scheme, _, given := strings.Cut(s, "://"); given && !strings.HasPrefix(got.String(), scheme+"://") || strings.Contains(got.String(), "joe") {
			t.Errorf("%s is shown as %v", s, got)
		}
	}
	for _, s := range []string{"", "http://h/a", "zk://", "etcd://", "etcds://", "etcd:///a", "etcd://h?x=y", "zk://h/a/", "h//a", "etcd://%zz@h"} {
		if got, err := ParseLocation(s); err == nil {
			t.Errorf("%q is taken for %+v", s, got)
		}
	}
}

func TestOverlaps(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"h/a", "h/a", true}, {"h/a", "h/a/b", true}, {"h/", "h/x", true}, {"h/ab", "h/a", false}, {"g,h/a/b", "h/a", true}, {"g/a", "h/a", false},
		{"etcd://h:1/a", "h:1/a", false}, {"etcd://h/a", "etcd://h/a/b", true}, {"etcd://h/a", "etcd://h/b", false},
	} {
		a, err := ParseLocation(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseLocation(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if a.overlaps(b) != c.want || b.overlaps(a) != c.want {
			t.Errorf("%s and %s: not %v", c.a, c.b, c.want)
		}
	}
}

func TestRelative(t *testing.T) {
	for _, c := range []struct{ root, path, want string }{
		{"/", "/", "/"}, {"/", "/a", "/a"}, {"/a", "/a", "/"}, {"/a", "/a/b/c", "/b/c"}, {"/a", "/ab", ""}, {"/a", "/b", ""}, {"/a/b", "/a", ""},
	} {
		got, ok := relative(c.root, c.path)
		if ok != (c.want != "") || ok && (got != c.want || join(c.root, got) != c.path) {
			t.Errorf("%s below %s: %q %v", c.path, c.root, got, ok)
		}
	}
}

// TestIndex checks what keys imply, and what is gone when one is.
func TestIndex(t *testing.T) {
	x := newIndex()
	for key, fresh := range map[string][]string{"": {"/"}, "/a/b/c": {"/a", "/a/b", "/a/b/c"}, "/x/y": {"/x", "/x/y"}} {
		if got := x.add(key); !slices.Equal(got, fresh) {
			t.Errorf("%q brought %q, want %q", key, got, fresh)
		}
	}
	for key, fresh := range map[string][]string{"/a/b/d": {"/a/b/d"}, "/x": {"/x"}} {
		if got := x.add(key); !slices.Equal(got, fresh) {
			t.Errorf("%q brought %q, want %q", key, got, fresh)
		}
	}
	for _, key := range []string{"/", "/a/", "//", "/a//b", "/./x", "/a/..", "/\x00"} {
		if x.add(key) != nil {
			t.Errorf("%q is taken", key)
		}
	}
	if keys, alien := x.counts(); keys != 5 || alien != 7 {
		t.Errorf("%d keys, %d that are none", keys, alien)
	}
	look := func(path string, key bool, children ...string) {
		t.Helper()
		k, c := x.look(path)
		if k != key || !slices.Equal(c, children) {
			t.Errorf("%s: %v %q, want %v %q", path, k, c, key, children)
		}
	}
	look("/", true, "a", "x")
	look("/a", false, "b")
	look("/a/b", false, "c", "d")
	look("/x", true, "y")
	look("/none/x", false)
	drop := func(path string, gone ...string) {
		t.Helper()
		if got := x.drop(path); !slices.Equal(got, gone) {
			t.Errorf("%s took %q with it, want %q", path, got, gone)
		}
	}
	drop("/a/b/c", "/a/b/c")
	drop("/a/b/d", "/a/b/d", "/a/b", "/a")
	look("/a", false)
	drop("/x", "/x")
	look("/x", false, "y")
	drop("/x/y", "/x/y", "/x")
	drop("/none", "/none")
	drop("/", "/")
	look("/", false)
}
