package replica

import "zebu/proto"

// pendingWrite is a write (or a sync) that waits for a zxid to be applied, to be answered then.
type pendingWrite struct {
	zxid    proto.Zxid
	session proto.SessionID // of one that was forwarded
	conn    *Conn           // nil if nobody is to be answered
	xid     int32
	op      proto.OpCode
	at      proto.Millis
	path    string // of a sync, echoed
}

// pendingQueue is a FIFO in zxid order on a ring that grows.
type pendingQueue struct {
	ring []pendingWrite
	head int
	n    int
}

func (q *pendingQueue) len() int { return q.n }

func (q *pendingQueue) push(p pendingWrite) {
	if q.n == len(q.ring) {
		grown := make([]pendingWrite, max(64, 2*q.n))
		for i := range q.n {
			grown[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.n)%len(q.ring)] = p
	q.n++
}

// at returns the i-th oldest entry.
func (q *pendingQueue) at(i int) *pendingWrite { return &q.ring[(q.head+i)%len(q.ring)] }

// clear forgets all entries.
func (q *pendingQueue) clear() {
	clear(q.ring)
	q.head, q.n = 0, 0
}

// waitsFor says whether the oldest entry waits for z or less.
func (q *pendingQueue) waitsFor(z proto.Zxid) bool { return q.n > 0 && q.ring[q.head].zxid <= z }

// pop returns the oldest entry if it waits for z or less.
func (q *pendingQueue) pop(z proto.Zxid) (pendingWrite, bool) {
	if !q.waitsFor(z) {
		return pendingWrite{}, false
	}
	p := q.ring[q.head]
	q.drop()
	return p, true
}

// drop forgets the oldest entry, of which there is one.
func (q *pendingQueue) drop() {
	q.ring[q.head] = pendingWrite{}
	q.head = (q.head + 1) % len(q.ring)
	q.n--
}

// Digest is the tree digest at a zxid.
type Digest struct {
	Zxid   proto.Zxid
	Digest uint64
}

// digestRing keeps the digests of the last 1024 zxids divisible by 128, as ZooKeeper does for its hash command.
type digestRing struct {
	at   [1024]Digest
	next int
	full bool
}

func (d *digestRing) add(z proto.Zxid, digest uint64) {
	d.at[d.next] = Digest{z, digest}
	d.next = (d.next + 1) % len(d.at)
	d.full = d.full || d.next == 0
}

// Digests returns the recorded digests, oldest first.
func (r *Replica) Digests() []Digest {
	d := &r.digests
	if !d.full {
		return append([]Digest(nil), d.at[:d.next]...)
	}
	return append(append([]Digest(nil), d.at[d.next:]...), d.at[:d.next]...)
}
