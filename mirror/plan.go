package mirror

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"zebu/internal/client"
	"zebu/proto"
)

// errMasked is the failure of a node whose ACL the server did not tell in full.
var errMasked = errors.New("the server masks digests of this ACL from whoever lacks the ADMIN permission: give --src-auth, or --acl=skip")

// errEphemeral is the failure of a node that the destination has as an ephemeral one.
var errEphemeral = errors.New("an ephemeral node of that name is at the destination")

// plan returns what makes the destination have a node as the source has it, and the paths below that it has in excess.
func (m *Mirror) plan(v *visit) (changes []change, extra []string) {
	s, d := v.src, v.dst
	switch {
	case v.err != nil:
		m.fail(v.path, v.err)
		return nil, nil
	case s == nil:
		return nil, nil // gone meanwhile
	}
	if s.ephemeral && !m.o.Ephemerals {
		m.count.ephemerals.Add(1)
		if len(s.children) == 0 { // an etcd key with a lease may well have keys below
			return nil, nil
		}
		s.implied = true
	}
	if d != nil {
		extra = m.excess(v)
	}
	own := m.known[v.path]
	m.note(v)
	if !v.selected || v.path == "/" && m.dst.reserved("/") {
		return nil, extra
	}
	m.count.bytes.Add(int64(len(s.data)))
	if s.implied && (m.o.Destination.Etcd || d != nil) {
		return m.implied(v, own || m.o.Delete || m.verify), extra
	}
	if masked(s.acl) {
		m.fail(v.path, errMasked)
		return nil, extra
	}
	acl := openACL()
	if m.o.ACL == ACLCopy {
		acl = s.acl
	}
	if d == nil || d.implied {
		return []change{{kind: create, path: v.path, data: s.data, acl: acl, keep: m.o.ACL == ACLSkip}}, extra
	}
	if d.ephemeral && !m.o.Destination.Etcd {
		m.fail(v.path, errEphemeral)
		return nil, nil
	}
	if !bytes.Equal(s.data, d.data) || !m.lossy && (s.data == nil) != (d.data == nil) {
		changes = append(changes, change{kind: setData, path: v.path, data: s.data})
	}
	if m.o.ACL != ACLSkip && !sameACL(acl, d.acl) {
		changes = append(changes, change{kind: setACL, path: v.path, acl: acl})
	}
	return changes, extra
}

// implied returns what takes away the data of a node for which the source has keys below only, if the source had a key for it
// while it was followed, or anything in excess is to go.
func (m *Mirror) implied(v *visit, data bool) []change {
	switch {
	case !data || v.dst == nil || v.dst.implied || v.dst.ephemeral:
	case m.o.Destination.Etcd:
		return []change{{kind: remove, path: v.path}}
	case len(v.dst.data) > 0:
		return []change{{kind: setData, path: v.path, data: []byte{}}}
	}
	return nil
}

// note remembers that the source has a node.
func (m *Mirror) note(v *visit) {
	if v.selected && sequential(v.path) {
		m.count.sequential.Add(1)
	}
	if m.known != nil && v.selected {
		m.known[v.path] = !v.src.implied
		if m.seen != nil {
			m.seen[v.path] = struct{}{}
		}
	}
}

// masked says whether an ACL has an id as servers show it to those who may not administrate the node.
func masked(acl []proto.ACL) bool {
	return slices.ContainsFunc(acl, func(a proto.ACL) bool { return a.ID.Scheme == "digest" && strings.HasSuffix(a.ID.ID, ":x") })
}

// sequential says whether a name looks like that of a sequential node.
func sequential(path string) bool {
	digits := 0
	for i := len(path) - 1; i >= 0 && path[i] >= '0' && path[i] <= '9'; i-- {
		digits++
	}
	return digits == 10
}

// sameACL says whether two lists grant the same.
func sameACL(a, b []proto.ACL) bool {
	order := func(x, y proto.ACL) int {
		return cmp.Or(cmp.Compare(x.ID.Scheme, y.ID.Scheme), cmp.Compare(x.ID.ID, y.ID.ID), cmp.Compare(x.Perms, y.Perms))
	}
	return slices.Equal(slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order))
}

// below lists the children of a node that are to be visited.
func (m *Mirror) below(v *visit) []*visit {
	if v.err != nil || v.src == nil {
		return nil
	}
	list := make([]*visit, 0, len(v.src.children))
	there := map[string]bool{}
	if v.dst != nil && !v.fresh {
		for _, name := range v.dst.children {
			there[name] = true
		}
	}
	for _, name := range v.src.children {
		path := client.Join(v.path, name)
		selected, leads := m.filter.selects(path)
		if !selected && !leads || m.src.reserved(path) || m.dst.reserved(path) {
			continue
		}
		list = append(list, &visit{path: path, selected: selected, fresh: !there[name]})
	}
	return list
}

// excess lists the children that the destination has and the source has not.
func (m *Mirror) excess(v *visit) (paths []string) {
	there := map[string]bool{}
	for _, name := range v.src.children {
		there[name] = true
	}
	for _, name := range v.dst.children {
		path := client.Join(v.path, name)
		if selected, leads := m.filter.selects(path); !there[name] && (selected || leads) && !m.dst.reserved(path) && !m.src.reserved(path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// extra returns the removals of a subtree that only the destination has, children first: of what the filter selects, without
// ephemeral nodes, which end with their sessions. Unless it is deleted or reported it is only counted.
func (m *Mirror) extra(ctx context.Context, path string) ([]change, error) {
	m.count.extra.Add(1)
	if !m.o.Delete && !m.verify {
		return nil, nil
	}
	var found []change
	for stack := []string{path}; len(stack) > 0; {
		n := min(len(stack), wave)
		visits := make([]*visit, n)
		for i, p := range stack[len(stack)-n:] {
			visits[i] = &visit{path: p}
		}
		stack = stack[:len(stack)-n]
		if err := m.fetchAt(ctx, visits); err != nil {
			return nil, err
		}
		for _, v := range visits {
			if v.err != nil {
				m.fail(v.path, v.err)
			}
			if v.dst == nil {
				continue
			}
			selected, leads := m.filter.selects(v.path)
			if selected && !v.dst.implied && (!v.dst.ephemeral || m.o.Destination.Etcd && m.o.Ephemerals) {
				found = append(found, change{kind: remove, path: v.path})
			}
			if !selected && !leads {
				continue
			}
			for _, name := range v.dst.children {
				stack = append(stack, client.Join(v.path, name))
			}
		}
	}
	slices.SortFunc(found, func(a, b change) int { return cmp.Compare(b.path, a.path) }) // a child's path is its parent's and more
	return found, nil
}

// rooted puts what a node's creation needs before it.
func (m *Mirror) rooted(ctx context.Context, changes []change) ([]change, error) {
	if len(m.o.Include) == 0 || m.verify || m.o.Destination.Etcd || len(changes) == 0 || changes[0].kind != create {
		return changes, nil
	}
	above, err := m.above(ctx, changes[0].path)
	m.present[changes[0].path] = struct{}{}
	return append(above, changes...), err
}

// above returns what creates the nodes above a path that the destination lacks: those that only lead to selected ones.
func (m *Mirror) above(ctx context.Context, path string) ([]change, error) {
	var missing []change
	for path != "/" {
		path = parent(path)
		if _, there := m.present[path]; there {
			break
		}
		v := &visit{path: path}
		if err := m.fetchAt(ctx, []*visit{v}); err != nil {
			return nil, err
		}
		m.present[path] = struct{}{}
		if v.err != nil || v.dst != nil {
			break
		}
		s, err := m.src.read(ctx, path, m.o.ACL == ACLCopy)
		var one *nodeError
		if err != nil && !errors.As(err, &one) {
			return nil, err
		}
		if s == nil || err != nil || masked(s.acl) {
			break // creating what is below fails and says so
		}
		acl := openACL()
		if m.o.ACL == ACLCopy {
			acl = s.acl
		}
		missing = append(missing, change{kind: create, path: path, data: s.data, acl: acl, keep: true})
	}
	slices.Reverse(missing)
	return missing, nil
}
