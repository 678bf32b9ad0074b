package cli

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"zebu/internal/client"
	"zebu/proto"
)

// node is what a walk found.
type node struct {
	path     string
	depth    int // 0 for where the walk began
	last     []bool
	data     []byte
	stat     proto.Stat
	children []string
	acl      []proto.ACL
}

// walkOptions say what a walk fetches of every node besides its children and metadata.
type walkOptions struct {
	data  bool
	acl   bool
	watch bool // sets a watch of children
	depth int  // levels below the first node; 0 for all
}

// prefetch is how many nodes are asked for at a time, so that a walk costs few round trips and little memory.
const prefetch = 64

// walk visits a node and everything below, parents first and children in order. What vanishes meanwhile is left out.
func (k *call) walk(ctx context.Context, path string, o walkOptions, visit func(*node) error) error {
	return walkFrom(ctx, k.c, path, o, visit)
}

func walkFrom(ctx context.Context, c *client.Client, path string, o walkOptions, visit func(*node) error) error {
	n, err := fetch(ctx, c, path, o)
	if err != nil {
		return at(path, err)
	}
	return descend(ctx, c, n, o, visit)
}

func descend(ctx context.Context, c *client.Client, n *node, o walkOptions, visit func(*node) error) error {
	if err := visit(n); err != nil {
		return err
	}
	if o.depth > 0 && n.depth >= o.depth {
		return nil
	}
	return eachChild(ctx, c, n, o, func(below *node) error { return descend(ctx, c, below, o, visit) })
}

// eachChild fetches the children of a node, several at a time, and visits them in order. What vanishes meanwhile is left
// out.
func eachChild(ctx context.Context, c *client.Client, n *node, o walkOptions, visit func(*node) error) error {
	for from := 0; from < len(n.children); from += prefetch {
		some := n.children[from:min(from+prefetch, len(n.children))]
		found := make([]*node, len(some))
		group, gctx := errgroup.WithContext(ctx)
		for i, name := range some {
			group.Go(func() error {
				below, err := fetch(gctx, c, client.Join(n.path, name), o)
				if gone(err) {
					return nil
				}
				found[i] = below
				return at(client.Join(n.path, name), err)
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for i, below := range found {
			if below == nil {
				continue
			}
			below.depth = n.depth + 1
			below.last = append(append([]bool(nil), n.last...), from+i == len(n.children)-1)
			if err := visit(below); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetch reads one node.
func fetch(ctx context.Context, c *client.Client, path string, o walkOptions) (*node, error) {
	n := &node{path: path}
	var err error
	if n.children, n.stat, err = c.Children(ctx, path, o.watch); err != nil {
		return nil, err
	}
	if o.data {
		if n.data, n.stat, err = c.Get(ctx, path, false); err != nil {
			return nil, err
		}
	}
	if o.acl {
		if n.acl, _, err = c.ACL(ctx, path); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// gone says that a node does not exist.
func gone(err error) bool { return errors.Is(err, proto.ErrNoNode) }
