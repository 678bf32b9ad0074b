package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"zebu/internal/client"
	"zebu/proto"
)

// ACLPolicy says what becomes of access control lists.
type ACLPolicy string

// Policies: ACLs are copied; or every node gets the open one; or new nodes get the open one and ACLs are left alone
// otherwise. What goes to or comes from etcd, which has none, is treated as in ACLSkip.
const (
	ACLCopy ACLPolicy = "copy"
	ACLOpen ACLPolicy = "open"
	ACLSkip ACLPolicy = "skip"
)

// Options say what to copy, and how.
type Options struct {
	Source, Destination         Location
	SourceAuth, DestinationAuth []Auth
	ACL                         ACLPolicy
	Ephemerals                  bool     // copy them, as persistent nodes
	Delete                      bool     // delete what the source does not have
	Include, Exclude            []string // patterns, see docs/copy.md
	DryRun                      bool
	// Concurrency is how many nodes are read at a time. 128 if zero.
	Concurrency int
	// Patience is how long a lost end is waited for.
	Patience time.Duration
	// Report, if set, is told every step of a dry run and every difference of a comparison.
	Report func(Step)
	// Warn, if set, is told of every node that could not be copied.
	Warn func(path string, err error)
}

// Step is something a dry run would do (create, set, acl, delete) or a comparison found (missing, data, acl, extra), at a path
// below the root.
type Step struct {
	What string `json:"what"`
	Path string `json:"path"`
}

// Mirror copies from one end to another. Its methods are called one after the other, but for Progress.
type Mirror struct {
	o        Options
	src, dst end
	filter   *filter
	lossy    bool // one end does not tell null from empty
	feed     *feed
	verify   bool

	present map[string]struct{} // nodes above selected ones that the destination is known to have

	known map[string]bool     // while following: what the source is known to have; false for what its keys only imply
	seen  map[string]struct{} // of those, what this pass has found

	mu    sync.Mutex          // what follows, and Options.Warn: a pass writes while it reads on
	retry map[string]struct{} // while following: what could not be copied, but perhaps later
	count counters
}

// counters are the Progress, written while it is read.
type counters struct {
	total, visited, created, updated, acls, deleted, differences   atomic.Int64
	ephemerals, unmappable, extra, kept, failed, bytes, sequential atomic.Int64
	passes, changes                                                atomic.Int64
	following                                                      atomic.Bool
}

// Progress is what has been done so far. Bytes are of data.
type Progress struct {
	Total       int64 `json:"total"`   // nodes at the source, filters not counted; -1 if not known
	Visited     int64 `json:"visited"` // nodes compared, of this pass
	Created     int64 `json:"created"`
	Updated     int64 `json:"updated"`      // data replaced
	ACLs        int64 `json:"acls_changed"` // of nodes that were there
	Deleted     int64 `json:"deleted"`
	Bytes       int64 `json:"bytes"`              // of data read at the source
	Ephemerals  int64 `json:"ephemerals_skipped"` // or keys with a lease; of this pass
	Unmappable  int64 `json:"unmappable_keys"`    // etcd keys that are no paths
	Sequential  int64 `json:"sequential_nodes"`   // nodes whose names end as those of sequential nodes; of this pass
	Extra       int64 `json:"extra"`              // nodes that only the destination has, those below not counted; of this pass
	Kept        int64 `json:"kept"`               // deletions left undone, because of children that only the destination has
	Failed      int64 `json:"failed"`
	Differences int64 `json:"differences"` // found by a comparison
	Passes      int64 `json:"passes"`      // over the whole tree
	Changes     int64 `json:"changes"`     // followed
	// Pending changes are known but not copied yet, the oldest for LagMillis.
	Pending   int   `json:"pending"`
	LagMillis int64 `json:"lag_ms"`
	Following bool  `json:"following"` // the first pass is over
}

// Open connects to both ends. Errors are of the options, *OptionError, or of an end, *EndError, or of both.
func Open(ctx context.Context, o Options) (*Mirror, error) {
	if o.Concurrency <= 0 {
		o.Concurrency = 128
	}
	m := &Mirror{o: o, feed: newFeed(), present: map[string]struct{}{}, lossy: o.Source.Etcd || o.Destination.Etcd}
	if o.Source.overlaps(o.Destination) {
		return nil, &OptionError{fmt.Errorf("%v and %v overlap: a copy would copy itself", o.Source, o.Destination)}
	}
	if m.lossy {
		m.o.ACL = ACLSkip
	}
	var err error
	if m.filter, err = newFilter(o.Include, o.Exclude); err != nil {
		return nil, &OptionError{err}
	}
	if m.src, err = open(ctx, o.Source, o.SourceAuth, o.Patience); err != nil {
		return nil, &EndError{Err: err}
	}
	if m.dst, err = open(ctx, o.Destination, o.DestinationAuth, o.Patience); err != nil {
		m.src.close()
		return nil, &EndError{Destination: true, Err: err}
	}
	if !o.Destination.Etcd && m.dst.reserved("/") {
		m.Close()
		return nil, &OptionError{fmt.Errorf("destination: %v: the server keeps these nodes itself", o.Destination)}
	}
	return m, nil
}

// OptionError is a wrong option.
type OptionError struct{ error }

func (e *OptionError) Unwrap() error { return e.error }

// EndError is what is wrong with an end.
type EndError struct {
	Destination bool // otherwise the source
	Err         error
}

// Error implements error.
func (e *EndError) Error() string {
	if e.Destination {
		return "destination: " + e.Err.Error()
	}
	return "source: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *EndError) Unwrap() error { return e.Err }

// ErrNoSource says that the source does not exist.
var ErrNoSource = errors.New("the source does not exist")

func open(ctx context.Context, l Location, auths []Auth, patience time.Duration) (end, error) {
	if l.Etcd {
		if len(auths) > 0 {
			return nil, &OptionError{errors.New("etcd's user and password are in its Location")}
		}
		e, err := openEtcd(ctx, l, patience)
		if err != nil {
			return nil, err
		}
		return e, nil
	}
	z, err := openZK(ctx, l, auths, patience)
	if err != nil {
		return nil, err
	}
	return z, nil
}

// Close ends the connections.
func (m *Mirror) Close() {
	m.src.close()
	m.dst.close()
}

// Progress may be called at any time.
func (m *Mirror) Progress() Progress {
	c := &m.count
	p := Progress{
		Total: c.total.Load(), Visited: c.visited.Load(), Created: c.created.Load(), Updated: c.updated.Load(), ACLs: c.acls.Load(),
		Deleted: c.deleted.Load(), Bytes: c.bytes.Load(), Ephemerals: c.ephemerals.Load(), Unmappable: c.unmappable.Load(),
		Sequential: c.sequential.Load(), Extra: c.extra.Load(), Kept: c.kept.Load(), Failed: c.failed.Load(),
		Differences: c.differences.Load(), Passes: c.passes.Load(), Changes: c.changes.Load(), Following: c.following.Load(),
	}
	pending, lag := m.feed.behind()
	p.Pending, p.LagMillis = pending, lag.Milliseconds()
	return p
}

// Copy makes the destination what the source is, in one pass. Nodes that cannot be copied are counted as failed and left out.
func (m *Mirror) Copy(ctx context.Context) error {
	m.verify = false
	return m.pass(ctx)
}

// Compare reports how the destination differs from the source, and changes nothing.
func (m *Mirror) Compare(ctx context.Context) error {
	m.verify = true
	return m.pass(ctx)
}

// fail notes that a node could not be copied.
func (m *Mirror) fail(path string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count.failed.Add(1)
	if m.o.Warn != nil {
		m.o.Warn(path, err)
	}
	if m.known != nil && (errors.Is(err, proto.ErrConnectionLoss) || errors.Is(err, proto.ErrNoNode)) {
		m.retry[path] = struct{}{}
	}
}

// visit is a node on its way through a pass.
type visit struct {
	path     string
	selected bool // else it only leads to nodes that are
	fresh    bool // the destination cannot have it
	changed  bool // the destination may have it even if the source has not
	src, dst *node
	err      error // of this node alone
}

// each calls f for nodes, many at a time, and notes errors of single nodes.
func (m *Mirror) each(ctx context.Context, visits []*visit, f func(context.Context, *visit) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(m.o.Concurrency)
	for _, v := range visits {
		group.Go(func() error {
			err := f(ctx, v)
			var one *nodeError
			if errors.As(err, &one) {
				v.err = err
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// fetch reads nodes at both ends.
func (m *Mirror) fetch(ctx context.Context, visits []*visit) error {
	return m.each(ctx, visits, func(ctx context.Context, v *visit) (err error) {
		v.src, err = m.src.read(ctx, v.path, v.selected && m.o.ACL == ACLCopy)
		if err != nil {
			return fmt.Errorf("source: %w", err)
		}
		if !v.fresh && (v.src != nil || v.changed) {
			v.dst, err = m.dst.read(ctx, v.path, v.selected && m.o.ACL != ACLSkip)
		}
		if err != nil {
			return fmt.Errorf("destination: %w", err)
		}
		return nil
	})
}

// fetchAt reads nodes at the destination.
func (m *Mirror) fetchAt(ctx context.Context, visits []*visit) error {
	return m.each(ctx, visits, func(ctx context.Context, v *visit) (err error) {
		v.dst, err = m.dst.read(ctx, v.path, false)
		return err
	})
}

// wave is how many nodes are read, compared and written together.
const wave = 1024

// pass walks over the source. While what a wave has found is written, the next one is read.
func (m *Mirror) pass(ctx context.Context) error {
	total, err := m.src.begin(ctx)
	if err == nil {
		_, err = m.dst.begin(ctx)
	}
	if err != nil {
		return m.ended(ctx, err)
	}
	c := &m.count
	for _, n := range []*atomic.Int64{&c.visited, &c.ephemerals, &c.sequential, &c.extra} {
		n.Store(0)
	}
	c.total.Store(int64(total))
	if e, ok := m.src.(*etcdEnd); ok {
		_, alien := e.tree().counts()
		c.unmappable.Store(int64(alien))
	}
	root := &visit{path: "/"}
	root.selected, _ = m.filter.selects("/")
	stack := []*visit{root}
	var writing *writer
	for len(stack) > 0 || writing != nil {
		n := min(len(stack), wave)
		visits := slices.Clone(stack[len(stack)-n:])
		stack = stack[:len(stack)-n]
		var w *writer
		if err := m.fetch(ctx, visits); err != nil {
			return m.ended(ctx, errors.Join(err, writing.wait()))
		}
		if err := writing.wait(); err != nil {
			return m.ended(ctx, err)
		}
		if root.src == nil && root.err == nil {
			return fmt.Errorf("%v: %w", m.o.Source, ErrNoSource)
		}
		if n > 0 && visits[0] == root && !m.verify && !m.o.DryRun {
			if err := m.dst.prepare(ctx); err != nil {
				return m.ended(ctx, err)
			}
		}
		if writing != nil {
			stack = append(stack, writing.next...)
		}
		if n > 0 {
			if w, err = m.start(ctx, visits); err != nil {
				return m.ended(ctx, err)
			}
		}
		writing = w
	}
	c.passes.Add(1)
	return nil
}

// ended prefers the reason for which the context ended to what came of it.
func (m *Mirror) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// writer writes what a wave has found, in a goroutine.
type writer struct {
	next []*visit // to be visited when it is written
	done sync.WaitGroup
	err  error
}

func (w *writer) wait() error {
	if w == nil {
		return nil
	}
	w.done.Wait()
	return w.err
}

// start compares a wave and begins to write what differs.
func (m *Mirror) start(ctx context.Context, visits []*visit) (*writer, error) {
	w := &writer{}
	var changes, removals []change
	for _, v := range visits {
		m.count.visited.Add(1)
		here, extra := m.plan(v)
		here, err := m.rooted(ctx, here)
		if err != nil {
			return nil, err
		}
		changes = append(changes, here...)
		for _, path := range extra {
			gone, err := m.extra(ctx, path)
			if err != nil {
				return nil, err
			}
			removals = append(removals, gone...)
		}
		w.next = append(w.next, m.below(v)...)
	}
	if m.verify || m.o.DryRun {
		m.report(changes, removals)
		return w, nil
	}
	w.done.Go(func() {
		if w.err = m.commit(ctx, changes); w.err == nil {
			w.err = m.commit(ctx, removals)
		}
	})
	return w, nil
}

// words name changes in reports of a dry run and of a comparison.
var words = map[kind][2]string{create: {"create", "missing"}, setData: {"set", "data"}, setACL: {"acl", "acl"}, remove: {"delete", "extra"}}

func (m *Mirror) report(lists ...[]change) {
	for _, changes := range lists {
		for i := range changes {
			w := words[changes[i].kind][0]
			if m.verify {
				w = words[changes[i].kind][1]
				m.count.differences.Add(1)
			} else {
				m.tally(&changes[i])
			}
			if m.o.Report != nil {
				m.o.Report(Step{w, changes[i].path})
			}
		}
	}
}

// tally counts a change that was made.
func (m *Mirror) tally(ch *change) {
	n := map[kind]*atomic.Int64{create: &m.count.created, setData: &m.count.updated, setACL: &m.count.acls, remove: &m.count.deleted}
	n[ch.kind].Add(1)
}

// commit writes changes and counts them.
func (m *Mirror) commit(ctx context.Context, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	failed, err := m.dst.write(ctx, changes)
	if err != nil {
		return err
	}
	bad := map[string]bool{}
	for _, f := range failed {
		bad[f.path] = true
		if errors.Is(f.err, errKept) {
			m.count.kept.Add(1)
			continue
		}
		m.fail(f.path, fmt.Errorf("destination: %w", f.err))
	}
	for i := range changes {
		if !bad[changes[i].path] {
			m.tally(&changes[i])
		}
	}
	return nil
}

// openACL is what nodes get whose ACL is not copied.
func openACL() []proto.ACL { return client.OpenACL() }
