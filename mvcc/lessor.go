package mvcc

import (
	"container/heap"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/proto"
)

// How the leader keeps time, as in etcd.
const (
	// RevokeRetry is after how long an expired lease that is still there is reported again, in milliseconds.
	RevokeRetry proto.Millis = 3000
	// CheckpointInterval is how often what remains of a long lease is put into the log, in milliseconds.
	CheckpointInterval proto.Millis = 5 * 60 * 1000
	// promotedPerSecond is how many leases a new leader lets expire in one second.
	promotedPerSecond = 750
)

// Lessor is the leader's clock for leases. What it says is put into the log by the leader, fenced with its epoch, and only when that is
// applied has it an effect. A Lessor lives as long as the leadership. Times are of a monotonic clock.
//
// See spec etcd 1.4.
type Lessor struct {
	leases  map[LeaseID]*timedLease
	expiry  leaseHeap
	nextCps leaseHeap // leases to checkpoint, by when
}

// timedLease is a lease with its times.
type timedLease struct {
	id         LeaseID
	ttl        int64 // seconds
	remaining  int64 // at the last checkpoint, be it only proposed, seconds; 0 if none
	clearing   bool  // it is proposed that there be none
	ends       proto.Millis
	report     proto.Millis // when to report it expired
	checkpoint proto.Millis // when to checkpoint it
	place      [2]int       // in expiry and nextCps, -1 if not there
}

// NewLessor takes over all leases of the state, which is that of everything in the log before. Nobody knows when they were renewed last, so
// each gets its full TTL again, or what remained of it at its last checkpoint, and extend on top, the time that the
// election may have taken. So that not all expire at once they are spread.
func NewLessor(now proto.Millis, leases []Lease, extend proto.Millis) *Lessor {
	l := &Lessor{
		leases:  make(map[LeaseID]*timedLease, len(leases)),
		expiry:  leaseHeap{which: 0},
		nextCps: leaseHeap{which: 1},
	}
	perSecond := map[proto.Millis]int{}
	later := map[proto.Millis]proto.Millis{} // where to go on from a second that is full
	for _, lease := range leases {
		t := &timedLease{id: lease.ID, ttl: lease.TTL, remaining: lease.Remaining, place: [2]int{-1, -1}}
		l.leases[t.id] = t
		ends := now + extend + t.span()
		second := ends / 1000
		for perSecond[second] >= promotedPerSecond {
			second = max(second+1, later[second])
		}
		later[ends/1000] = second
		perSecond[second]++
		l.until(now, t, second*1000+ends%1000)
	}
	return l
}

// span is how long a lease is to live from a renewal or from a takeover on.
func (t *timedLease) span() proto.Millis {
	if t.remaining > 0 {
		return proto.Millis(t.remaining) * 1000
	}
	return proto.Millis(t.ttl) * 1000
}

// until sets when a lease ends.
func (l *Lessor) until(now proto.Millis, t *timedLease, ends proto.Millis) {
	t.ends, t.report = ends, ends
	l.expiry.set(t)
	if ends-now > CheckpointInterval && t.place[1] < 0 {
		t.checkpoint = now + CheckpointInterval
		l.nextCps.set(t)
	}
}

// Granted tells of a lease that was granted. One that is known stays as it is.
func (l *Lessor) Granted(now proto.Millis, id LeaseID, ttl int64) {
	if l.leases[id] != nil {
		return
	}
	t := &timedLease{id: id, ttl: ttl, place: [2]int{-1, -1}}
	l.leases[id] = t
	l.until(now, t, now+t.span())
}

// Revoked tells of a lease that is gone.
func (l *Lessor) Revoked(id LeaseID) {
	if t, ok := l.leases[id]; ok {
		l.expiry.drop(t)
		l.nextCps.drop(t)
		delete(l.leases, id)
	}
}

// Checkpointed tells that what remains of a lease is in the state now.
func (l *Lessor) Checkpointed(now proto.Millis, id LeaseID, remaining int64) {
	t, ok := l.leases[id]
	if !ok {
		return
	}
	t.remaining = remaining
	if remaining == 0 {
		t.clearing = false
	}
	if t.span() > CheckpointInterval {
		t.checkpoint = now + CheckpointInterval
		l.nextCps.set(t)
	}
}

// Renewal is the outcome of a keepalive.
type Renewal int

// The outcomes.
const (
	Renewed   Renewal = iota
	Missing           // there is none, or no more: TTL 0 for the client
	Expired           // it is about to be revoked and cannot be revived: ask again when the revocation is applied
	Unchecked         // its checkpoint must be cleared first: propose Remaining_TTL 0 for it, and ask again when that is applied
	Clearing          // that is proposed already: ask again when it is applied
)

// Renew is a keepalive: the lease gets its full TTL again, which is returned in seconds.
func (l *Lessor) Renew(now proto.Millis, id LeaseID) (int64, Renewal) {
	t, ok := l.leases[id]
	switch {
	case !ok:
		return 0, Missing
	case t.ends <= now:
		return 0, Expired
	case t.clearing:
		return 0, Clearing
	case t.remaining > 0:
		t.clearing = true
		return 0, Unchecked
	}
	l.until(now, t, now+t.span())
	return t.ttl, Renewed
}

// Remaining is how long a lease has left, in seconds, rounded down as in etcd; -1 if there is none.
func (l *Lessor) Remaining(now proto.Millis, id LeaseID) int64 {
	t, ok := l.leases[id]
	if !ok {
		return -1
	}
	return int64(max(0, t.ends-now) / 1000)
}

// Expired returns up to limit leases whose time is up and that were not reported within [RevokeRetry]. The caller proposes
// that each be revoked, in the epoch of this leadership only.
func (l *Lessor) Expired(now proto.Millis, limit int) (ids []LeaseID) {
	for len(ids) < limit && len(l.expiry.list) > 0 && l.expiry.list[0].report <= now {
		t := l.expiry.list[0]
		t.report = now + RevokeRetry
		l.expiry.set(t)
		ids = append(ids, t.id)
	}
	return ids
}

// Checkpoints returns up to limit leases of which it is time to put into the log what remains. The caller proposes that: a renewal
// from now on comes after it.
func (l *Lessor) Checkpoints(now proto.Millis, limit int) (list []*pb.LeaseCheckpoint) {
	for len(list) < limit && len(l.nextCps.list) > 0 && l.nextCps.list[0].checkpoint <= now {
		t := l.nextCps.list[0]
		l.nextCps.drop(t)
		if left := int64((t.ends - now + 999) / 1000); t.ends > now && left < t.ttl && !t.clearing {
			t.remaining = left
			list = append(list, &pb.LeaseCheckpoint{ID: int64(t.id), Remaining_TTL: left})
		}
	}
	return list
}

// Next is when something is to be done next: when [Lessor.Expired] or [Lessor.Checkpoints] should be asked. It is false if
// there is nothing to wait for.
func (l *Lessor) Next() (proto.Millis, bool) {
	at, ok := proto.Millis(0), false
	if len(l.expiry.list) > 0 {
		at, ok = l.expiry.list[0].report, true
	}
	if len(l.nextCps.list) > 0 && (!ok || l.nextCps.list[0].checkpoint < at) {
		at, ok = l.nextCps.list[0].checkpoint, true
	}
	return at, ok
}

// leaseHeap orders leases by the time of their report (which 0) or their checkpoint (which 1).
type leaseHeap struct {
	which int
	list  []*timedLease
}

func (h *leaseHeap) time(i int) proto.Millis {
	if h.which == 0 {
		return h.list[i].report
	}
	return h.list[i].checkpoint
}

func (h *leaseHeap) Len() int { return len(h.list) }

// Less breaks ties by id, so that simulations repeat.
func (h *leaseHeap) Less(i, j int) bool {
	if h.time(i) != h.time(j) {
		return h.time(i) < h.time(j)
	}
	return h.list[i].id < h.list[j].id
}

func (h *leaseHeap) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.list[i].place[h.which], h.list[j].place[h.which] = i, j
}

func (h *leaseHeap) Push(x any) {
	t := x.(*timedLease)
	t.place[h.which] = len(h.list)
	h.list = append(h.list, t)
}

func (h *leaseHeap) Pop() any {
	last := len(h.list) - 1
	t := h.list[last]
	h.list[last] = nil
	h.list = h.list[:last]
	t.place[h.which] = -1
	return t
}

// set puts a lease where its time belongs.
func (h *leaseHeap) set(t *timedLease) {
	if i := t.place[h.which]; i >= 0 {
		heap.Fix(h, i)
	} else {
		heap.Push(h, t)
	}
}

func (h *leaseHeap) drop(t *timedLease) {
	if i := t.place[h.which]; i >= 0 {
		heap.Remove(h, i)
	}
}
