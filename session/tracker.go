package session

import (
	"cmp"
	"slices"

	"zebu/internal/mutant"
	"zebu/proto"
)

// Owner names whoever serves a session's connection: the leader itself or one of its learner links. The caller
// numbers them; 0 is nobody.
type Owner int64

// Bucket is one instant of expiry and the sessions that are due then.
type Bucket struct {
	Deadline proto.Millis // monotonic
	IDs      []proto.SessionID
}

// Tracker decides when sessions expire. The leader keeps one for all global sessions, any server one for its local
// sessions, and a standalone server one for all. It is not part of the replicated state: a new leader tracks every
// session of the [Table] afresh.
//
// Deadlines are rounded up to multiples of the tick (spec 1.6), so sessions share few of them; all that share one form
// a ring through a slot without session. Touching a session moves it from ring to ring.
type Tracker struct {
	tick    proto.Millis
	index   map[proto.SessionID]uint32
	slots   []slot // slot 0 heads the ring of sessions that are due
	vacant  uint32 // first vacant slot, linked through next; 0 for none
	buckets map[proto.Millis]uint32
	passed  proto.Millis // every deadline up to this one has been seen by Due
}

// slot is a session, or the head of a bucket's ring.
type slot struct {
	id         proto.SessionID
	deadline   proto.Millis
	owner      Owner
	timeout    int32
	prev, next uint32 // itself when alone
	closing    bool
	head       bool
}

// dueRing is the slot that heads the ring of sessions whose deadline has passed.
const dueRing = 0

// NewTracker returns an empty tracker. Deadlines are multiples of tick, the server's tickTime.
func NewTracker(tick proto.Millis) *Tracker {
	return &Tracker{
		tick:    max(tick, 1),
		index:   make(map[proto.SessionID]uint32),
		slots:   []slot{{head: true}},
		buckets: make(map[proto.Millis]uint32),
		passed:  -1 << 62,
	}
}

// Track starts to track a session whose timeout is in milliseconds, or renews one that is tracked with that timeout,
// which a resumed session may have negotiated anew. It reports whether the session is new. A closing session stays as
// it is.
func (t *Tracker) Track(id proto.SessionID, timeout int32, now proto.Millis) bool {
	i, ok := t.index[id]
	if ok {
		if s := &t.slots[i]; !s.closing {
			s.timeout = timeout
			t.Touch(id, now)
		}
		return false
	}
	i = t.newSlot()
	t.slots[i] = slot{id: id, timeout: timeout, prev: i, next: i, deadline: t.deadline(timeout, now)}
	t.index[id] = i
	t.enter(i)
	return true
}

// deadline is ZooKeeper's rounding: the first multiple of the tick after now + timeout.
func (t *Tracker) deadline(timeout int32, now proto.Millis) proto.Millis {
	return ((now+proto.Millis(timeout))/t.tick + 1) * t.tick
}

// Touch moves a session's deadline to its timeout from now. False means that the session is not tracked or closing.
func (t *Tracker) Touch(id proto.SessionID, now proto.Millis) bool {
	i, ok := t.index[id]
	if !ok || t.slots[i].closing {
		return false
	}
	s := &t.slots[i]
	if d := t.deadline(s.timeout, now); d != s.deadline {
		t.leave(i)
		t.slots[i].deadline = d
		t.enter(i)
	}
	return true
}

// Due appends to dst the sessions whose deadline has passed and which are not closing yet, earliest deadline first and
// those of one deadline in the order in which they came to have it. They stay due until the caller touches, closes or
// removes them.
func (t *Tracker) Due(now proto.Millis, dst []proto.SessionID) []proto.SessionID {
	if now >= t.passed+t.tick {
		t.pass(now)
	}
	for i := t.slots[dueRing].next; i != dueRing; {
		s := &t.slots[i]
		next := s.next
		if s.closing {
			t.leave(i)
		} else {
			dst = append(dst, s.id)
		}
		i = next
	}
	return dst
}

// pass moves the buckets whose deadline has come into the ring of due sessions.
func (t *Tracker) pass(now proto.Millis) {
	t.passed = now - now%t.tick
	var over []proto.Millis
	for d := range t.buckets {
		if d <= now {
			over = append(over, d)
		}
	}
	slices.Sort(over)
	for _, d := range over {
		h := t.buckets[d]
		delete(t.buckets, d)
		head, due := &t.slots[h], &t.slots[dueRing]
		t.slots[head.next].prev = due.prev
		t.slots[due.prev].next = head.next
		t.slots[head.prev].next = dueRing
		due.prev = head.prev
		t.freeSlot(h)
	}
}

// SetClosing marks a session whose closeSession is on its way: it takes no more requests and is not due again. It
// reports whether the session is tracked.
func (t *Tracker) SetClosing(id proto.SessionID) bool {
	i, ok := t.index[id]
	if ok {
		t.slots[i].closing = true
	}
	return ok
}

// Check says whether a request from owner in the session may go on: ErrSessionExpired if the session is unknown or
// closing, ErrSessionMoved if it has another owner. A session without owner becomes owner's.
func (t *Tracker) Check(id proto.SessionID, owner Owner) proto.ErrCode {
	i, ok := t.index[id]
	if !ok || t.slots[i].closing {
		return proto.ErrSessionExpired
	}
	s := &t.slots[i]
	if s.owner == 0 {
		s.owner = owner
	}
	if s.owner != owner && !mutant.On(mutant.MovedSessionWrites) {
		return proto.ErrSessionMoved
	}
	return proto.OK
}

// SetOwner gives the session to owner. False means that the session is not tracked or closing.
func (t *Tracker) SetOwner(id proto.SessionID, owner Owner) bool {
	i, ok := t.index[id]
	if !ok || t.slots[i].closing {
		return false
	}
	t.slots[i].owner = owner
	return true
}

// Owner returns who serves the session, 0 for nobody.
func (t *Tracker) Owner(id proto.SessionID) Owner {
	if i, ok := t.index[id]; ok {
		return t.slots[i].owner
	}
	return 0
}

// Timeout returns a tracked session's timeout in milliseconds, and whether the session is tracked.
func (t *Tracker) Timeout(id proto.SessionID) (int32, bool) {
	if i, ok := t.index[id]; ok {
		return t.slots[i].timeout, true
	}
	return 0, false
}

// Remove stops tracking a session and reports whether it was tracked.
func (t *Tracker) Remove(id proto.SessionID) bool {
	i, ok := t.index[id]
	if !ok {
		return false
	}
	t.leave(i)
	delete(t.index, id)
	t.freeSlot(i)
	return true
}

// Len returns the number of tracked sessions.
func (t *Tracker) Len() int { return len(t.index) }

// Buckets lists all deadlines in order, each with its sessions in order of their ids: what the `dump` word prints.
// Closing sessions are left out once their deadline has passed.
func (t *Tracker) Buckets() []Bucket {
	waiting := make([]slot, 0, len(t.index))
	for i := range t.slots {
		if s := t.slots[i]; !s.head && s.next != uint32(i) {
			waiting = append(waiting, s)
		}
	}
	slices.SortFunc(waiting, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.deadline, b.deadline), cmp.Compare(uint64(a.id), uint64(b.id)))
	})
	var out []Bucket
	for _, s := range waiting {
		if len(out) == 0 || out[len(out)-1].Deadline != s.deadline {
			out = append(out, Bucket{Deadline: s.deadline})
		}
		last := &out[len(out)-1]
		last.IDs = append(last.IDs, s.id)
	}
	return out
}

// enter puts slot i, which is alone, at the end of the ring of its deadline.
func (t *Tracker) enter(i uint32) {
	var h uint32 = dueRing
	if d := t.slots[i].deadline; d > t.passed {
		var ok bool
		if h, ok = t.buckets[d]; !ok {
			h = t.newSlot()
			t.slots[h] = slot{head: true, deadline: d, prev: h, next: h}
			t.buckets[d] = h
		}
	}
	s, head := &t.slots[i], &t.slots[h]
	s.prev, s.next = head.prev, h
	t.slots[head.prev].next = i
	head.prev = i
}

// leave takes slot i out of its ring and drops the bucket if it was the last in it.
func (t *Tracker) leave(i uint32) {
	s := &t.slots[i]
	p, n := s.prev, s.next
	t.slots[p].next, t.slots[n].prev = n, p
	s.prev, s.next = i, i
	if p == n && t.slots[p].head && p != dueRing {
		delete(t.buckets, t.slots[p].deadline)
		t.freeSlot(p)
	}
}

func (t *Tracker) newSlot() uint32 {
	if i := t.vacant; i != 0 {
		t.vacant = t.slots[i].next
		return i
	}
	t.slots = append(t.slots, slot{})
	return uint32(len(t.slots) - 1)
}

// freeSlot makes slot i vacant: a head, so that it is not taken for a session.
func (t *Tracker) freeSlot(i uint32) {
	t.slots[i] = slot{head: true, next: t.vacant}
	t.vacant = i
}
