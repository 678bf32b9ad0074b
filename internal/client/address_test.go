package client

import (
	"slices"
	"strings"
	"testing"
)

func TestParseServers(t *testing.T) {
	for _, c := range []struct {
		in, root string
		servers  []string
		err      string
	}{
		{in: "h", servers: []string{"h:2181"}},
		{in: "h:1,k:2", servers: []string{"h:1", "k:2"}},
		{in: " h:1 , k ", servers: []string{"h:1", "k:2181"}},
		{in: "h:/app/x", root: "/app/x", servers: []string{"h:2181"}},
		{in: "h:1/", servers: []string{"h:1"}},
		{in: "[::1]:5,[fe80::1]", servers: []string{"[::1]:5", "[fe80::1]:2181"}},
		{in: "::1", servers: []string{"[::1]:2181"}},
		{in: "", err: "names no server"},
		{in: "/app", err: "names no server"},
		{in: "h:x", err: "not a port"},
		{in: "h:70000", err: "not a port"},
		{in: "h:0", err: "not a port"},
		{in: "[::1", err: "no closing bracket"},
		{in: "[::1]5", err: "expected a colon"},
		{in: "h/a//b", err: "chroot"},
		{in: "h/a/", err: "must not end with /"},
	} {
		servers, root, err := ParseServers(c.in)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v, want %q", c.in, err, c.err)
			}
			continue
		}
		if err != nil || root != c.root || !slices.Equal(servers, c.servers) {
			t.Errorf("%q: %v %q %v", c.in, servers, root, err)
		}
	}
}

func TestCheckPath(t *testing.T) {
	for _, p := range []string{"/", "/a", "/a/b c", "/...", "/ä/日本"} {
		if err := CheckPath(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{"", "a", "/a/", "//", "/a//b", "/.", "/a/..", "/a/./b", "/a\x00", "/a\x7f", "/\ue000", "/\ufff0"} {
		if CheckPath(p) == nil {
			t.Errorf("%q is accepted", p)
		}
	}
}

func TestChroot(t *testing.T) {
	for _, c := range []struct{ root, path, want string }{
		{"", "/a", "/a"}, {"/app", "/app", "/"}, {"/app", "/app/x", "/x"}, {"/app", "/apple", "/apple"}, {"/app", "/other", "/other"},
	} {
		if got := strip(c.root, c.path); got != c.want {
			t.Errorf("strip(%q, %q) = %q", c.root, c.path, got)
		}
	}
	c := &Client{root: "/app"}
	if c.real("/") != "/app" || c.real("/x") != "/app/x" {
		t.Error(c.real("/"), c.real("/x"))
	}
}
