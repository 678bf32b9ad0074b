package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"zebu/internal/client"
	"zebu/proto"
)

// Location is one end of a copy.
type Location struct {
	Etcd     bool
	Servers  []string // host:port
	Root     string   // a path; for etcd the prefix, without the slash that follows it, "" for all keys that begin with one
	User     string   // etcd only
	Password string
	TLS      *TLS // etcd only; nil: plain text
}

// ParseLocation reads zk://host:port,host:port/path, the same without zk://, or etcd://[user:password@]host:port,host:port/prefix, or
// that with etcds:// for TLS, with the system's authorities. Where etcd's keys do not begin with a slash, ?prefix=KEY takes the place of /prefix.
func ParseLocation(s string) (Location, error) {
	scheme, rest, given := strings.Cut(s, "://")
	if !given {
		scheme, rest = "zk", s
	}
	switch scheme {
	case "zk":
		servers, root, err := client.ParseServers(rest)
		if root == "" {
			root = "/"
		}
		return Location{Servers: servers, Root: root}, err
	case "etcd":
		return parseEtcd(Location{Etcd: true}, s, rest)
	case "etcds":
		return parseEtcd(Location{Etcd: true, TLS: &TLS{}}, s, rest)
	}
	return Location{}, fmt.Errorf("%q: expected zk://, etcd:// or etcds://", s)
}

func parseEtcd(l Location, s, rest string) (Location, error) {
	hosts, prefix := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		hosts, prefix = rest[:i], rest[i:]
	}
	if key, query := strings.CutPrefix(prefix, "?prefix="); query {
		prefix = key
	} else if strings.HasPrefix(prefix, "?") {
		return l, fmt.Errorf("%q: expected ?prefix=", s)
	}
	l.Root = strings.TrimSuffix(prefix, "/")
	if i := strings.LastIndexByte(hosts, '@'); i >= 0 {
		user, password, _ := strings.Cut(hosts[:i], ":")
		var err, perr error
		l.User, err = url.PathUnescape(user)
		l.Password, perr = url.PathUnescape(password)
		if err = errors.Join(err, perr); err != nil {
			return l, fmt.Errorf("etcd user and password: %w", err)
		}
		hosts = hosts[i+1:]
	}
	for h := range strings.SplitSeq(hosts, ",") {
		if h = strings.TrimSpace(h); h == "" {
			continue
		}
		if !strings.Contains(strings.TrimLeft(h[strings.LastIndexByte(h, ']')+1:], " "), ":") {
			h += ":2379"
		}
		l.Servers = append(l.Servers, h)
	}
	if len(l.Servers) == 0 {
		return l, fmt.Errorf("%q names no server", s)
	}
	return l, nil
}

// String shows l without its password.
func (l Location) String() string {
	scheme := "zk://"
	switch {
	case l.TLS != nil:
		scheme = "etcds://"
	case l.Etcd:
		scheme = "etcd://"
	}
	root := l.Root
	if l.Etcd && root != "" && root[0] != '/' {
		root = "?prefix=" + root
	}
	return scheme + strings.Join(l.Servers, ",") + root
}

// overlaps says whether a copy from l to other would copy what it has written: they share a server, and one lies in the other.
func (l Location) overlaps(other Location) bool {
	if l.Etcd != other.Etcd || !slices.ContainsFunc(l.Servers, func(s string) bool { return slices.Contains(other.Servers, s) }) {
		return false
	}
	a, b := strings.TrimSuffix(l.Root, "/")+"/", strings.TrimSuffix(other.Root, "/")+"/"
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

// node is what an end has at a path.
type node struct {
	data      []byte // nil is null
	acl       []proto.ACL
	children  []string
	ephemeral bool // or an etcd key with a lease
	implied   bool // there are keys below, but none for this path
}

// kind is what a change does.
type kind int

const (
	create kind = iota // what exists already is replaced
	setData
	setACL
	remove // what has children stays, and counts as kept
)

// change is a write to the destination, at a path relative to its root.
type change struct {
	kind kind
	path string
	data []byte
	acl  []proto.ACL
	keep bool // create: if the node is there after all, its ACL stays
}

func (c *change) size() int {
	n := len(c.path) + len(c.data) + 64
	for _, a := range c.acl {
		n += 16 + len(a.ID.Scheme) + len(a.ID.ID)
	}
	return n
}

// failure is a node that could not be read or written.
type failure struct {
	path string
	err  error
}

// end is a tree at one end. Paths are relative to its root, "/" for the root itself. Methods may be called concurrently. An
// error ends the copy, after the end has tried again for as long as it may.
type end interface {
	// begin prepares a pass: what is read after it is at least as new as what anybody had written before. It returns how many
	// nodes there are, -1 if that is not known.
	begin(ctx context.Context) (total int, err error)
	// read returns nil if there is no such node. Errors of one node are *nodeError.
	read(ctx context.Context, path string, acl bool) (*node, error)
	// prepare makes the root possible: what lies above it.
	prepare(ctx context.Context) error
	// write makes changes in their order. It is called once at a time.
	write(ctx context.Context, changes []change) ([]failure, error)
	// watch reports changed paths to f from now on, until ctx ends or the end is closed.
	watch(ctx context.Context, f *feed) error
	// reserved says that a path is the server's own, or cannot be.
	reserved(path string) bool
	close()
}

// nodeError concerns one node alone.
type nodeError struct{ error }

func (e *nodeError) Unwrap() error { return e.error }

// errKept is the failure of a removal that found children.
var errKept = errors.New("it has children that the source does not have")

// join makes a relative path absolute below a root.
func join(root, path string) string {
	if path == "/" {
		return root
	}
	return strings.TrimSuffix(root, "/") + path
}

// relative is the reverse of join; false if path does not lie at or below root.
func relative(root, path string) (string, bool) {
	if path == root {
		return "/", true
	}
	if root == "/" {
		return path, true
	}
	rest, ok := strings.CutPrefix(path, root)
	return rest, ok && rest[0] == '/'
}

// parent of a relative path.
func parent(path string) string {
	return path[:max(1, strings.LastIndexByte(path, '/'))]
}
