package mirror

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// again is after what time a change is tried once more that could not be copied.
const again = 10 * time.Second

// Follow copies, and goes on copying what changes until ctx ends; then it returns nil, or ctx's cause if the first pass was not
// over. After the source was out of reach everything is compared again, and so it is every rescan unless that is zero: ACLs
// change without an event. What the source had while it was followed and has no more is deleted; Options.Delete
// concerns only what it never had.
func (m *Mirror) Follow(ctx context.Context, rescan time.Duration) error {
	m.known, m.retry = map[string]bool{}, map[string]struct{}{}
	if err := m.src.watch(ctx, m.feed); err != nil {
		return m.ended(ctx, err)
	}
	if err := m.resync(ctx); err != nil {
		return err
	}
	m.count.following.Store(true)
	var all <-chan time.Time
	if rescan > 0 {
		t := time.NewTicker(rescan)
		defer t.Stop()
		all = t.C
	}
	t := time.NewTicker(again)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-all:
			m.feed.resync()
		case <-t.C:
			m.mu.Lock()
			for path := range m.retry {
				m.feed.changed(path)
			}
			clear(m.retry)
			m.mu.Unlock()
		case <-m.feed.wake:
			if err := m.catchUp(ctx); ctx.Err() != nil {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
}

// catchUp copies what the feed has.
func (m *Mirror) catchUp(ctx context.Context) error {
	paths, all := m.feed.take()
	if all {
		if err := m.resync(ctx); err != nil {
			return err
		}
	}
	if err := m.changes(ctx, paths); err != nil {
		return err
	}
	m.feed.idle()
	return nil
}

// resync is a pass after which what the source has lost since the last one is deleted.
func (m *Mirror) resync(ctx context.Context) error {
	m.seen = make(map[string]struct{}, len(m.known))
	if err := m.Copy(ctx); err != nil {
		return err
	}
	var lost []string
	for path := range m.known {
		if _, still := m.seen[path]; !still {
			lost = append(lost, path)
		}
	}
	m.seen = nil
	return m.changes(ctx, lost)
}

// changes makes single nodes what the source has now. The order in which they changed does not matter: whatever changes
// after it was read here is reported again.
func (m *Mirror) changes(ctx context.Context, paths []string) error {
	slices.Sort(paths) // parents first
	clear(m.present)
	var removals []change
	for some := range slices.Chunk(paths, wave) {
		var visits []*visit
		for _, path := range some {
			selected, _ := m.filter.selects(path)
			if selected && (path == "/" || !m.src.reserved(path) && !m.dst.reserved(path)) {
				visits = append(visits, &visit{path: path, selected: true, changed: true})
			}
		}
		if err := m.fetch(ctx, visits); err != nil {
			return m.ended(ctx, err)
		}
		var writes []change
		for _, v := range visits {
			m.count.changes.Add(1)
			if v.err == nil && (v.src == nil || v.src.ephemeral && !m.o.Ephemerals) {
				gone, err := m.gone(ctx, v)
				if err != nil {
					return m.ended(ctx, err)
				}
				removals = append(removals, gone...)
				continue
			}
			here, _ := m.plan(v)
			here, err := m.rooted(ctx, here)
			if err != nil {
				return m.ended(ctx, err)
			}
			writes = append(writes, here...)
		}
		if err := m.commit(ctx, writes); err != nil {
			return m.ended(ctx, err)
		}
	}
	slices.SortFunc(removals, func(a, b change) int { return cmp.Compare(b.path, a.path) })
	return m.ended(ctx, m.commit(ctx, slices.CompactFunc(removals, func(a, b change) bool { return a.path == b.path })))
}

// gone returns the removal of a node that the source has no more.
func (m *Mirror) gone(ctx context.Context, v *visit) ([]change, error) {
	_, copied := m.known[v.path]
	delete(m.known, v.path)
	switch {
	case v.dst == nil || v.dst.implied || v.path == "/":
		return nil, nil
	case !copied && v.src != nil: // an ephemeral node: what bears its name here is not its copy
		return nil, nil
	case m.o.Delete:
		return m.extra(ctx, v.path)
	case !copied || v.dst.ephemeral && !m.o.Destination.Etcd:
		return nil, nil
	}
	return []change{{kind: remove, path: v.path}}, nil
}
