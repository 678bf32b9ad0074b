package mvcc

import (
	"encoding/binary"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Contents takes the records of a state for what they mean, one by one: alarms, changes, leases, users and roles, each in the order of
// their keys. What it is given it may not keep.
type Contents interface {
	// Change is one of a key: what etcd has in its bucket "key", byte for byte.
	Change(key, value []byte) error
	Lease(l Lease) error
	Alarm(a *pb.AlarmMember) error
	// Auth is a record of the [Authority].
	Auth(key string, value []byte) error
}

// ReadContents gives the records of a view to c, and returns where they stand.
func ReadContents(v View, c Contents) (Meta, error) {
	meta, err := ReadMeta(v)
	if err != nil {
		return Meta{}, err
	}
	chain := chainAfter(meta.Scheduled)
	for _, step := range []struct {
		prefix byte
		visit  func(key, value []byte) error
	}{
		{prefixAlarm, func(key, _ []byte) error {
			a, err := parseAlarm(key)
			if err != nil {
				return err
			}
			return c.Alarm(a.message())
		}},
		{prefixChange, func(key, value []byte) error {
			r, _, ok := parseChangeKey(key)
			switch {
			case !ok:
				return fmt.Errorf("%w: key %x of a change", ErrDamaged, key)
			case r.Main > meta.Revision:
				return nil // of a batch that is being committed in parts
			}
			if err := chain.add(r); err != nil {
				return err
			}
			return c.Change(key[1:], value)
		}},
		{prefixLease, func(key, value []byte) error {
			l, err := parseLease(key, value)
			if err != nil {
				return err
			}
			return c.Lease(l)
		}},
		{prefixAuth, func(key, value []byte) error { return c.Auth(string(key[1:]), value) }},
	} {
		if err := v.Scan([]byte{step.prefix}, []byte{step.prefix + 1}, step.visit); err != nil {
			return Meta{}, err
		}
	}
	return meta, chain.end(meta.Revision)
}

// Filler makes batches of what another format holds, for a storage that was empty. The record that makes them a state comes last, with
// [Filler.Finish]: a storage that was filled in part is as good as empty. Whether they are a state is for [Open] to say.
type Filler struct {
	commit func(*Batch) error
	batch  *Batch
	size   int
}

var _ Contents = (*Filler)(nil)

// NewFiller makes a Filler that hands its batches to commit.
func NewFiller(commit func(*Batch) error) *Filler {
	return &Filler{commit: commit, batch: &Batch{}}
}

// add takes a record, which it keeps.
func (f *Filler) add(op Op) error {
	f.batch.Ops = append(f.batch.Ops, op)
	if f.size += len(op.Key) + len(op.Value); f.size < imageBatch && len(f.batch.Ops) < maxLate {
		return nil
	}
	b := f.batch
	f.batch, f.size = &Batch{}, 0
	return f.commit(b)
}

// Change implements [Contents]. Errors wrap ErrDamaged if the key is none of etcd's.
func (f *Filler) Change(key, value []byte) error {
	stored := append([]byte{prefixChange}, key...)
	if _, _, ok := parseChangeKey(stored); !ok {
		return fmt.Errorf("%w: key %x of a change", ErrDamaged, key)
	}
	return f.add(Op{Key: stored, Value: append([]byte{}, value...)})
}

// Lease implements [Contents].
func (f *Filler) Lease(l Lease) error {
	return f.add(Op{Key: leaseKey(l.ID), Value: (&lease{ttl: l.TTL, remaining: l.Remaining}).encode()})
}

// Alarm implements [Contents].
func (f *Filler) Alarm(a *pb.AlarmMember) error {
	return f.add(Op{Key: alarmKey(alarm{a.Alarm, a.MemberID}), Value: []byte{}})
}

// Auth implements [Contents].
func (f *Filler) Auth(key string, value []byte) error {
	return f.add(Op{Key: authKey(key), Value: append([]byte{}, value...)})
}

// Finish hands out the last batch, which says where the state stands.
func (f *Filler) Finish(m Meta) error {
	if _, err := decodeMeta(m.encode()); err != nil {
		return err
	}
	f.batch.Meta = m
	f.batch.Ops = append(f.batch.Ops, Op{Key: metaKey, Value: m.encode()})
	return f.commit(f.batch)
}

func parseLease(key, value []byte) (Lease, error) {
	if len(key) != 9 || len(value) != 16 {
		return Lease{}, fmt.Errorf("%w: lease record of %d and %d bytes", ErrDamaged, len(key), len(value))
	}
	return Lease{
		ID:        LeaseID(binary.BigEndian.Uint64(key[1:])),
		TTL:       int64(binary.BigEndian.Uint64(value)),
		Remaining: int64(binary.BigEndian.Uint64(value[8:])),
	}, nil
}

func parseAlarm(key []byte) (alarm, error) {
	if len(key) != alarmRecordLen {
		return alarm{}, fmt.Errorf("%w: alarm record of %d bytes", ErrDamaged, len(key))
	}
	return alarm{pb.AlarmType(binary.BigEndian.Uint32(key[1:])), binary.BigEndian.Uint64(key[5:])}, nil
}
