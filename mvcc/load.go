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
		{prefixChange, (&changeLoader{s: s, last: Revision{Main: max(s.meta.Scheduled, 1), Sub: -1}}).load},
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
	s    *Store
	last Revision // the change before, from the compaction on
	kv   mvccpb.KeyValue
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
	if !compacted {
		// No change may be missing above the compaction.
		if r != (Revision{l.last.Main, l.last.Sub + 1}) && r != (Revision{l.last.Main + 1, 0}) {
			return fmt.Errorf("%w: after change %d.%d comes %d.%d", ErrDamaged, l.last.Main, l.last.Sub, r.Main, r.Sub)
		}
		l.last = r
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
