package recipes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-zookeeper/zk"
)

// Layout says whose names nodes have. Programs that share a lock use one layout.
type Layout int

// The layouts.
const (
	Curator Layout = iota // Apache Curator's, also that of go-zookeeper's own Lock
	Kazoo                 // kazoo's, for Python
)

// line is a directory in which those who want something stand in the order of their sequence numbers, as ephemeral nodes. A name
// is a GUID, a mark and the number: after a lost connection the GUID tells whether the node was created.
type line struct {
	c      *Client
	dir    string
	layout Layout
	mark   string   // of our own nodes
	marks  []string // of all nodes that stand in this line; others in the directory are ignored
	data   []byte
	// ahead returns whom to wait for, given those that stand before in order. nil: the last of them.
	ahead func(before []place) (place, bool)
}

// place is a node in a line.
type place struct {
	dir, name string
	mark      string
	seq       int32
	czxid     int64    // only of our own
	owner     *session // only of our own
}

func (p place) path() string { return path.Join(p.dir, p.name) }

// parse reads a name that ends in one of the marks and a sequence number.
func (l *line) parse(name string) (place, bool) {
	if len(name) < 10 {
		return place{}, false
	}
	digits := len(name) - 10
	if stem, ok := strings.CutSuffix(name[:digits], "-"); ok && l.marked(stem) {
		digits-- // the sign of a counter that has wrapped
	}
	seq, err := strconv.ParseInt(name[digits:], 10, 32)
	if err != nil {
		return place{}, false
	}
	for _, m := range l.marks {
		if strings.HasSuffix(name[:digits], m) {
			return place{dir: l.dir, name: name, mark: m, seq: int32(seq)}, true
		}
	}
	return place{}, false
}

func (l *line) marked(stem string) bool {
	return slices.ContainsFunc(l.marks, func(m string) bool { return strings.HasSuffix(stem, m) })
}

// all lists the line in order.
func (l *line) all(ctx context.Context) ([]place, error) {
	names, err := l.c.children(ctx, l.dir)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		return nil, err
	}
	var places []place
	for _, n := range names {
		if p, ok := l.parse(n); ok {
			places = append(places, p)
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.seq-b.seq, 0), cmp.Compare(a.name, b.name)) // the difference is right across a wrap
	})
	return places, nil
}

// acquire enters the line and waits for its turn. try: it does not wait, and returns ErrNotAcquired.
func (l *line) acquire(ctx context.Context, try bool) (place, error) {
	for {
		p, err := l.enter(ctx)
		if err != nil {
			return place{}, err
		}
		err = l.wait(ctx, p, try)
		if err == nil {
			return p, nil
		}
		l.c.withdraw(ctx, p.path(), err)
		if !errors.Is(err, ErrLost) {
			return place{}, err
		}
	}
}

// stem is a new name up to the mark.
func (l *line) stem() string {
	if l.layout == Kazoo {
		return strings.ReplaceAll(uuid(), "-", "")
	}
	return "_c_" + uuid() + "-"
}

// enter creates a node at the end of the line, exactly one whatever happens to the connection.
func (l *line) enter(ctx context.Context) (place, error) {
	for {
		s, err := l.c.session(ctx)
		if err != nil {
			return place{}, err
		}
		stem := l.stem()
		name, err := l.createOnce(ctx, s, stem)
		if err != nil {
			if errors.Is(err, ErrLost) && ctx.Err() == nil {
				continue
			}
			return place{}, err
		}
		p, ok := l.parse(name)
		if !ok {
			return place{}, fmt.Errorf("%s: the server returned the name %q", l.dir, name)
		}
		stat, err := l.c.exists(ctx, p.path())
		if err != nil {
			l.c.discard(p.path())
			return place{}, err
		}
		if stat == nil {
			continue // expired or deleted since
		}
		if p.owner, p.czxid = l.c.owned(stat.EphemeralOwner), stat.Czxid; p.owner == nil {
			l.c.discard(p.path())
			continue
		}
		return p, nil
	}
}

// ensureDir creates the directory: as a container in Curator's layout, and for good in kazoo's, whose clients look for it only once.
func (l *line) ensureDir(ctx context.Context) error {
	if l.layout == Kazoo {
		return l.c.ensure(ctx, l.dir)
	}
	return l.c.ensureContainer(ctx, l.dir)
}

// createOnce returns the name of the one node that it creates in the session, or ErrLost if that ended.
func (l *line) createOnce(ctx context.Context, s *session, stem string) (string, error) {
	forget := func(made string, err error) {
		if err == nil {
			l.c.discard(made)
		} else if transient(err) {
			_, _ = l.settle(context.Background(), stem, true) // ends with the client
		}
	}
	for {
		made, err := callOr(ctx, l.c, func(conn *zk.Conn) (string, error) {
			return conn.Create(path.Join(l.dir, stem+l.mark), l.data, zk.FlagEphemeralSequential, l.c.acl)
		}, forget)
		switch {
		case err == nil:
			return path.Base(made), nil
		case errors.Is(err, zk.ErrNoNode):
			if err := l.ensureDir(ctx); err != nil {
				return "", err
			}
			continue
		case !transient(err):
			return "", err
		}
		if s.ctx.Err() != nil || errors.Is(err, zk.ErrSessionExpired) {
			return "", ErrLost
		}
		name, err := l.settle(ctx, stem, false)
		if err != nil {
			l.c.spawn(func() { _, _ = l.settle(context.Background(), stem, true) })
		}
		if err != nil || name != "" {
			return name, err
		}
		if s.ctx.Err() != nil {
			return "", ErrLost
		}
	}
}

// settle finds out which node a lost request has created, "" if none, and deletes it if asked. The server that answers sync has all
// that was accepted before, and what the old connection had sent and was not accepted by then never is: the session has moved.
func (l *line) settle(ctx context.Context, stem string, forget bool) (string, error) {
	if err := l.c.sync(ctx, l.dir); err != nil {
		return "", err
	}
	places, err := l.all(ctx)
	if err != nil {
		return "", err
	}
	found := ""
	for _, p := range places {
		switch {
		case !strings.HasPrefix(p.name, stem):
		case found == "" && !forget:
			found = p.name
		default:
			l.c.discard(p.path())
		}
	}
	return found, nil
}

// wait returns when the place's turn has come, with ErrLost if the place is gone before.
func (l *line) wait(ctx context.Context, p place, try bool) error {
	for {
		places, err := l.all(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(places, func(o place) bool { return o.name == p.name })
		if i < 0 || p.owner.ctx.Err() != nil {
			return ErrLost
		}
		before, blocked := l.before(places[:i])
		switch {
		case !blocked:
			return nil
		case try:
			return ErrNotAcquired
		}
		w, err := l.c.watchNode(ctx, before.path())
		if errors.Is(err, zk.ErrNoNode) {
			continue
		}
		if err != nil {
			return err
		}
		select {
		case <-w.fired:
		case <-p.owner.ctx.Done():
			return ErrLost
		case <-ctx.Done():
			return cause(ctx)
		}
	}
}

func (l *line) before(places []place) (place, bool) {
	if l.ahead != nil {
		return l.ahead(places)
	}
	if len(places) == 0 {
		return place{}, false
	}
	return places[len(places)-1], true
}
