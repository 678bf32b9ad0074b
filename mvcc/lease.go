package mvcc

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// LeaseID names a lease; 0 is none.
type LeaseID int64

// MaxTTL is the longest that a lease may live, in seconds, as in etcd.
const MaxTTL = 9000000000

// lease is one granted lease. When it ends is not part of the state: the leader's [Lessor] knows.
type lease struct {
	ttl       int64 // granted, in seconds
	remaining int64 // at the last checkpoint, in seconds; 0 if there is none
	keys      map[string]struct{}
}

const leaseRecordLen = 1 + 8 + 16

func leaseKey(id LeaseID) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixLease}, uint64(id))
}

func (l *lease) encode() []byte {
	b := make([]byte, 0, 16)
	b = binary.BigEndian.AppendUint64(b, uint64(l.ttl))
	return binary.BigEndian.AppendUint64(b, uint64(l.remaining))
}

// Lease is what a lease is to those who ask.
type Lease struct {
	ID        LeaseID
	TTL       int64 // granted, in seconds
	Remaining int64 // at the last checkpoint, in seconds; 0 if there is none since it was renewed
}

// Leases lists all leases by id.
func (s *Store) Leases() []Lease {
	list := make([]Lease, 0, len(s.leases))
	for id, l := range s.leases {
		list = append(list, Lease{id, l.ttl, l.remaining})
	}
	slices.SortFunc(list, func(a, b Lease) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// NumLeases is the number of leases.
func (s *Store) NumLeases() int { return len(s.leases) }

// Lease looks one lease up.
func (s *Store) Lease(id LeaseID) (Lease, bool) {
	l, ok := s.leases[id]
	if !ok {
		return Lease{}, false
	}
	return Lease{id, l.ttl, l.remaining}, true
}

// LeaseKeys lists the keys attached to a lease, in order.
func (s *Store) LeaseKeys(id LeaseID) []string {
	l, ok := s.leases[id]
	if !ok {
		return nil
	}
	return slices.Sorted(maps.Keys(l.keys))
}

// CompleteGrant puts into a LeaseGrant what the leader decides before it is proposed: an id, if the client left it to the
// server, and the shortest TTL in seconds that this ensemble can keep. drawn is a random number.
func (s *Store) CompleteGrant(r *pb.LeaseGrantRequest, minTTL int64, drawn uint64) {
	r.TTL = max(r.TTL, minTTL)
	for r.ID == 0 {
		id := int64(drawn &^ (1 << 63))
		if _, taken := s.leases[LeaseID(id)]; id != 0 && !taken {
			r.ID = id
		}
		drawn++
	}
}

// attach makes a key belong to a lease, and no longer to another; to none if id is 0. A lease that is gone is none.
func (s *Store) attach(key string, e *entry, id LeaseID) {
	if e.lease == id {
		return
	}
	if old, ok := s.leases[e.lease]; ok {
		delete(old.keys, key)
	}
	e.lease = 0
	if l, ok := s.leases[id]; ok {
		if l.keys == nil {
			l.keys = map[string]struct{}{}
		}
		l.keys[key] = struct{}{}
		e.lease = id
	}
}

func (s *Store) applyLeaseGrant(r *pb.LeaseGrantRequest) (Message, error) {
	id := LeaseID(r.ID)
	switch _, taken := s.leases[id]; {
	case id == 0:
		return nil, ErrLeaseNotFound
	case r.TTL > MaxTTL:
		return nil, ErrLeaseTooLarge
	case taken:
		return nil, ErrLeaseExists
	}
	l := &lease{ttl: r.TTL}
	s.leases[id] = l
	s.set(leaseKey(id), l.encode())
	s.size += leaseRecordLen
	return &pb.LeaseGrantResponse{Header: s.header(), ID: r.ID, TTL: r.TTL}, nil
}

func (s *Store) applyLeaseRevoke(w *writer, r *pb.LeaseRevokeRequest) (Message, error) {
	id := LeaseID(r.ID)
	if _, ok := s.leases[id]; !ok {
		return nil, ErrLeaseNotFound
	}
	for _, key := range s.LeaseKeys(id) {
		w.delete(key, s.index.entry(key))
	}
	delete(s.leases, id)
	s.remove(leaseKey(id))
	s.size -= leaseRecordLen
	w.end()
	return &pb.LeaseRevokeResponse{Header: s.header()}, nil
}

func (s *Store) applyLeaseCheckpoint(r *pb.LeaseCheckpointRequest) (Message, error) {
	for _, c := range r.Checkpoints {
		if l, ok := s.leases[LeaseID(c.ID)]; ok {
			l.remaining = c.Remaining_TTL
			s.set(leaseKey(LeaseID(c.ID)), l.encode())
		}
	}
	return &pb.LeaseCheckpointResponse{Header: s.header()}, nil
}
