package recipes

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/go-zookeeper/zk"
)

// Group knows its members: an ephemeral node each, named by its id, with the member's data. That is the layout of Curator's GroupMember, and any
// program sees it with ls.
//
// Guaranteed: whose session has expired is no member. A member whose session expires joins again by itself, as soon as it has another. Who
// is seen as a member may have died up to a session timeout ago.
type Group struct {
	c   *Client
	dir string
}

// NewGroup is the group at a path.
func NewGroup(c *Client, dir string) *Group { return &Group{c, path.Clean(dir)} }

// Member is a membership.
type Member struct{ p *presence }

// Join makes the caller a member until it leaves or its client is closed, and returns when it is one. If there is a member of that id
// in another session Join waits until that is gone: after a restart it is the former self.
func (g *Group) Join(ctx context.Context, id string, data []byte) (*Member, error) {
	p := g.c.keep(path.Join(g.dir, id), data)
	if err := p.established(ctx); err != nil {
		return nil, fmt.Errorf("join %s: %w", g.dir, err)
	}
	return &Member{p}, nil
}

// Update changes the member's data, soon.
func (m *Member) Update(data []byte) { m.p.update(data) }

// Leave ends the membership.
func (m *Member) Leave(ctx context.Context) error { return m.p.leave(ctx) }

// Members returns the data of the members by their ids, as a server has it now.
func (g *Group) Members(ctx context.Context) (map[string][]byte, error) {
	names, err := g.c.children(ctx, g.dir)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		return nil, fmt.Errorf("members of %s: %w", g.dir, err)
	}
	members := map[string][]byte{}
	for _, id := range names {
		n, err := g.c.get(ctx, path.Join(g.dir, id))
		switch {
		case err == nil:
			members[id] = n.data
		case !errors.Is(err, zk.ErrNoNode):
			return nil, fmt.Errorf("members of %s: %w", g.dir, err)
		}
	}
	return members, nil
}

// Watch calls f with the members and again whenever they change, until ctx ends. It returns the context's error, or the server's.
func (g *Group) Watch(ctx context.Context, f func(members map[string][]byte)) error {
	changed := make(chan struct{}, 1)
	k := NewChildrenCache(g.c, g.dir, func(Change) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer k.Close()
	if err := k.Ready(ctx); err != nil {
		return fmt.Errorf("members of %s: %w", g.dir, err)
	}
	for {
		select { // what came so far is in the copy
		case <-changed:
		default:
		}
		f(byName(k.Children()))
		if err := g.c.await(ctx, changed); err != nil {
			return err
		}
	}
}

func byName(nodes []Node) map[string][]byte {
	m := make(map[string][]byte, len(nodes))
	for _, n := range nodes {
		m[path.Base(n.Path)] = n.Data
	}
	return m
}
