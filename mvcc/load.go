package mvcc

import (
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// load fills the Store from a view, whose meta it has.
func (s *Store) load(view View) error {
	steps := []struct {
		prefix byte
		visit  func(key, value []byte) error
	}{
		{prefixLease, s.loadLease},
		{prefixAlarm, s.loadAlarm},
		{prefixAuth, s.loadAuth},
		{prefixChange, (&changeLoader{s: s, chain: chainAfter(s.meta.Scheduled)}).load},
	}
	for _, step := range steps {
		if err := view.Scan([]byte{step.prefix}, []byte{step.prefix + 1}, step.visit); err != nil {
			return err
		}
	}
	return s.checkLast(view)
}

// checkLast makes sure that the last revision is there, which no later one could show to be missing.
func (s *Store) checkLast(view View) error {
	rev := s.meta.Revision
	if rev <= max(s.meta.Scheduled, 1) {
		return nil
	}
	found := false
	err := view.Scan(mainBound(rev), mainBound(rev+1), func(_, _ []byte) error {
		found = true
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("%w: revision %d is missing", ErrDamaged, rev)
	}
	return err
}

func (s *Store) loadLease(key, value []byte) error {
	l, err := parseLease(key, value)
	if err != nil {
		return err
	}
	s.leases[l.ID] = &lease{ttl: l.TTL, remaining: l.Remaining}
	s.size += leaseRecordLen
	return nil
}

func (s *Store) loadAlarm(key, _ []byte) error {
	a, err := parseAlarm(key)
	if err != nil {
		return err
	}
	s.alarms[a] = struct{}{}
	s.size += alarmRecordLen
	return nil
}

func (s *Store) loadAuth(key, value []byte) error {
	s.auth.records.Set(string(key[1:]), append([]byte(nil), value...))
	s.size += int64(len(key) + len(value))
	return nil
}

// changeLoader puts changes into the index, in the order in which they were made.
type changeLoader struct {
	s     *Store
	chain chain
	kv    mvccpb.KeyValue
}

// chain holds changes that are read one by one to having none missing among them: a storage may take a damaged page for the end of what
// there is. What is at or before a compaction may be missing.
type chain struct {
	floor int64
	last  Revision
}

func chainAfter(rev int64) chain {
	rev = max(rev, 1)
	return chain{rev, Revision{Main: rev, Sub: -1}}
}

func (c *chain) add(r Revision) error {
	if r.Main <= c.floor {
		return nil
	}
	if r != (Revision{c.last.Main, c.last.Sub + 1}) && r != (Revision{c.last.Main + 1, 0}) {
		return fmt.Errorf("%w: after change %d.%d comes %d.%d", ErrDamaged, c.last.Main, c.last.Sub, r.Main, r.Sub)
	}
	c.last = r
	return nil
}

// end says whether the changes have come to a revision.
func (c *chain) end(rev int64) error {
	if rev > c.last.Main {
		return fmt.Errorf("%w: revision %d is missing", ErrDamaged, c.last.Main+1)
	}
	return nil
}

func (l *changeLoader) load(key, value []byte) error {
	r, tombstone, ok := parseChangeKey(key)
	if !ok {
		return fmt.Errorf("%w: key %x of a change", ErrDamaged, key)
	}
	if r.Main > l.s.meta.Revision {
		return fmt.Errorf("%w: change %d.%d is above the revision", ErrDamaged, r.Main, r.Sub)
	}
	compacted := r.Main <= l.s.meta.Scheduled
	if err := l.chain.add(r); err != nil {
		return err
	}
	l.kv.Reset()
	if err := l.kv.Unmarshal(value); err != nil {
		return fmt.Errorf("%w: change %d.%d: %w", ErrDamaged, r.Main, r.Sub, err)
	}
	size := len(key) + len(value)
	l.s.size += int64(size)
	v := version{main: r.Main, sub: uint32(r.Sub), size: uint32(size)}
	name := string(l.kv.Key)
	e := l.s.index.entry(name)
	if tombstone {
		if len(e.live.versions) == 0 && !compacted {
			return fmt.Errorf("%w: change %d.%d deletes what does not exist", ErrDamaged, r.Main, r.Sub)
		}
		e.end(v)
		l.s.attach(name, e, 0)
		return nil
	}
	e.put(v)
	if compacted {
		// What came before may be deleted.
		e.live.created, e.live.count = l.kv.CreateRevision, l.kv.Version
	}
	if e.live.created != l.kv.CreateRevision || e.live.count != l.kv.Version {
		return fmt.Errorf("%w: change %d.%d is version %d of its key, not %d", ErrDamaged, r.Main, r.Sub, l.kv.Version, e.live.count)
	}
	l.s.attach(name, e, LeaseID(l.kv.Lease))
	return nil
}
