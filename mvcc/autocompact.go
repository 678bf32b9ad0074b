package mvcc

import "zebu/proto"

// How often automatic compaction acts, in milliseconds, as in etcd.
const (
	revisionInterval    proto.Millis = 5 * 60 * 1000
	maxPeriodicInterval proto.Millis = 60 * 60 * 1000
	samplesPerInterval               = 10
)

// AutoCompact decides when to compact at which revision. Every server keeps one, so that it knows the past when it becomes leader;
// only the leader proposes what it says. Times are of a monotonic clock.
type AutoCompact struct {
	keep     int64        // revisions to keep; 0 if history is kept by time
	period   proto.Millis // how long to keep history
	next     proto.Millis // when to act
	due      proto.Millis // when the next compaction by time is
	samples  []int64      // revisions, one for each tenth of an interval, the newest last
	proposed int64
	at       proto.Millis // when it was proposed
}

// CompactByTime keeps the history of a period, in milliseconds: etcd's mode "periodic". It compacts once a period, or once an hour if
// that is shorter, and first after a whole period.
func CompactByTime(now, period proto.Millis) *AutoCompact {
	return &AutoCompact{period: period, next: now, due: now + period}
}

// CompactByRevision keeps so many revisions: etcd's mode "revision". It compacts every five minutes.
func CompactByRevision(now proto.Millis, keep int64) *AutoCompact {
	return &AutoCompact{keep: keep, next: now + revisionInterval}
}

// Next is when to call Tick.
func (a *AutoCompact) Next() proto.Millis { return a.next }

// Tick gives the revision to compact at, 0 for none, when the key space is at a revision and compacted at another. A proposal that was lost
// is made again.
func (a *AutoCompact) Tick(now proto.Millis, revision, compacted int64) int64 {
	if now < a.next {
		return 0
	}
	if a.keep > 0 {
		a.next = now + revisionInterval
		return above(revision-a.keep, compacted)
	}
	interval := min(a.period, maxPeriodicInterval)
	sampling := max(1, interval/samplesPerInterval)
	a.next = now + sampling
	a.samples = append(a.samples, revision)
	if keep := int(a.period/sampling) + 1; len(a.samples) > keep {
		a.samples = append(a.samples[:0], a.samples[len(a.samples)-keep:]...)
	}
	if a.proposed != 0 && a.proposed <= compacted {
		a.proposed, a.due = 0, a.at+interval
	}
	rev := above(a.samples[0], compacted)
	if now < a.due || rev == 0 {
		return 0
	}
	a.proposed, a.at = rev, now
	return rev
}

// above is rev if compacting there does something.
func above(rev, compacted int64) int64 {
	if rev <= max(0, compacted) {
		return 0
	}
	return rev
}
