package mvcc

import (
	"errors"
	"fmt"
	"math"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Changes are the events of one revision, in order.
type Changes struct {
	Revision int64
	Events   []*mvccpb.Event
}

// History returns the changes of a range of revisions, both included. What is compacted is missing from it; from the revision
// compacted at on it is whole.
func (s *Store) History(from, to int64) ([]Changes, error) {
	view := s.storage.View()
	defer view.Close()
	list, _, err := readHistory(view, from, min(to, s.stored), math.MaxInt)
	if err != nil {
		return nil, err
	}
	for rev := max(from, s.stored+1); rev <= to; rev++ {
		c := Changes{Revision: rev}
		for sub := int64(0); ; sub++ {
			kv, ok := s.pending[Revision{rev, sub}]
			if !ok {
				break
			}
			c.Events = append(c.Events, event(kv, kv.CreateRevision == 0))
		}
		list = append(list, c)
	}
	return list, nil
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// readHistory is History from a view, without what is not stored yet. It ends behind the first revision with which the bytes of all reach a
// limit, and returns up to which it got.
func readHistory(view View, from, to int64, limit int) (list []Changes, through int64, err error) {
	size := 0
	err = view.Scan(mainBound(from), mainBound(to+1), func(key, value []byte) error {
		r, tombstone, ok := parseChangeKey(key)
		if !ok {
			return fmt.Errorf("%w: key %x of a change", ErrDamaged, key)
		}
		if n := len(list); n > 0 && list[n-1].Revision != r.Main && size >= limit {
			return errEnough
		}
		size += len(value)
		kv := &mvccpb.KeyValue{}
		if err := kv.Unmarshal(value); err != nil {
			return fmt.Errorf("%w: change %d.%d: %w", ErrDamaged, r.Main, r.Sub, err)
		}
		if tombstone {
			kv.ModRevision = r.Main
		}
		if n := len(list); n == 0 || list[n-1].Revision != r.Main {
			list = append(list, Changes{Revision: r.Main})
		}
		c := &list[len(list)-1]
		c.Events = append(c.Events, event(kv, tombstone))
		return nil
	})
	if errors.Is(err, errEnough) {
		return list, list[len(list)-1].Revision, nil
	}
	return list, to, err
}

func event(kv *mvccpb.KeyValue, tombstone bool) *mvccpb.Event {
	if tombstone {
		return &mvccpb.Event{Type: mvccpb.DELETE, Kv: kv}
	}
	return &mvccpb.Event{Type: mvccpb.PUT, Kv: kv}
}
