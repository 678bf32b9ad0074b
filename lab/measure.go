package lab

import "slices"

// tally counts what [Measures] tell.
type tally struct {
	counting               bool
	messages, bytes, syncs int64
	commits                int64
	elections, leaders     int
	lastRound              int64
	faults                 int
	cuts, stale, reads     int64
	readsFailed            int64
	ackCount, failCount    int64

	since        Micros // when the ensemble lost its leader, -1: it has one
	sinceEpoch   int64
	startLeader  Micros
	faultLeaders []Micros

	waiting     int // writes
	waitingFrom Micros
	longest     Micros

	proposals  map[place]Micros
	commitLat  []Micros
	ackLat     []Micros
	readLat    []Micros
	fsyncs     []Micros
	diffs      int
	truncs     int
	snaps      int
	probes     int
	probeRow   map[int]int
	longestRow int
}

func (t *tally) init() {
	t.proposals, t.probeRow = map[place]Micros{}, map[int]int{}
	t.since, t.startLeader = -1, -1
}

// open begins to count.
func (t *tally) open(w *world) {
	t.counting = true
	if w.leading() == 0 {
		t.since = w.now
	}
}

// close ends the times that are still running.
func (t *tally) close(w *world) {
	if t.waiting > 0 {
		t.longest = max(t.longest, w.now-t.waitingFrom)
	}
	t.counting = false
}

func (t *tally) message(_ *world, bytes int) {
	if t.counting {
		t.messages++
		t.bytes += int64(bytes)
	}
}

func (t *tally) fsync(_ *world, took Micros) {
	if t.counting {
		t.syncs++
		t.fsyncs = append(t.fsyncs, took)
	}
}

// election counts rounds or terms.
func (t *tally) election(round int64) {
	if round > t.lastRound {
		t.lastRound = round
		if t.counting {
			t.elections++
		}
	}
}

// fault notes that something is being done to servers, the leader perhaps among them.
func (t *tally) fault(w *world, hit []int) {
	t.faults++
	if l := w.leading(); t.since < 0 && l != 0 && slices.Contains(hit, l) {
		// It may turn out that it still has a quorum.
		epoch := w.servers[l-1].epoch
		w.after(0, func() {
			if s := w.servers[l-1]; t.since < 0 && (!s.up || !w.hasQuorum(l)) {
				t.since, t.sinceEpoch = w.now, epoch
			}
		})
	}
}

// leaderless notes that nobody leads any more.
func (t *tally) leaderless(w *world) {
	if !t.counting || t.since >= 0 {
		return
	}
	t.since, t.sinceEpoch = w.now, 0
	for _, at := range t.proposals { // it may have led nobody for a while
		t.since = min(t.since, at)
	}
}

// booted begins the wait for a leader anew when it is this server that makes a majority.
func (t *tally) booted(w *world) {
	if t.counting && w.leading() == 0 && len(w.live()) == w.sc.Servers/2+1 {
		t.since, t.sinceEpoch = w.now, 0
	}
}

// led notes a leader that may propose.
func (t *tally) led(w *world, s *Server) {
	if !t.counting {
		return
	}
	t.leaders++
	clear(t.proposals)
	if t.since < 0 || s.epoch <= t.sinceEpoch {
		return
	}
	took := w.now - t.since
	t.since = -1
	if t.faults == 0 {
		t.startLeader = max(t.startLeader, took)
	} else {
		t.faultLeaders = append(t.faultLeaders, took)
	}
}

func (t *tally) cut(*world) {
	if t.counting {
		t.cuts++
	}
}

func (t *tally) sync(_ *world, learner int, how string) {
	if !t.counting {
		return
	}
	if how == "probe" {
		t.probes++
		t.probeRow[learner]++
		t.longestRow = max(t.longestRow, t.probeRow[learner])
		return
	}
	t.probeRow[learner] = 0
	switch how {
	case "DIFF":
		t.diffs++
	case "TRUNC":
		t.truncs++
	case "SNAP", "snapshot":
		t.snaps++
	}
}

func (t *tally) proposed(w *world, epoch, index int64) { t.proposals[place{0, epoch, index}] = w.now }

// committed notes that the leader has committed everything it proposed up to an entry.
func (t *tally) committed(w *world, epoch, index int64) {
	p := place{0, epoch, index}
	for {
		at, ok := t.proposals[p]
		if !ok {
			return
		}
		delete(t.proposals, p)
		if t.counting {
			t.commitLat = append(t.commitLat, w.now-at)
		}
		p.index--
	}
}

// waits notes that a client has a write to be answered.
func (t *tally) waits(w *world) {
	if t.waiting == 0 {
		t.waitingFrom = w.now
	}
	t.waiting++
}

func (t *tally) acked(w *world, took Micros) {
	t.ackCount++
	t.ackLat = append(t.ackLat, took)
	t.longest = max(t.longest, w.now-t.waitingFrom)
	t.waitingFrom = w.now
	t.waiting--
}

// failed notes a write that is given up, which is no answer.
func (t *tally) failed(w *world) {
	t.failCount++
	if t.waiting--; t.waiting == 0 {
		t.longest = max(t.longest, w.now-t.waitingFrom)
	}
}

func (t *tally) read(_ *world, took Micros, stale bool) {
	t.reads++
	t.readLat = append(t.readLat, took)
	if stale {
		t.stale++
	}
}

// measures sums up.
func (t *tally) measures(w *world) Measures {
	m := Measures{
		TimeToLeader: -1, Unavailable: -1, Messages: t.messages, Bytes: t.bytes, Fsyncs: t.syncs, Commits: t.commits, Elections: t.elections,
		Leaders: t.leaders, Cut: t.cuts, StaleReads: t.stale, Reads: t.reads, ReadsFailed: t.readsFailed, Acked: t.ackCount, Failed: t.failCount,
		CommitLatency: quantiles(t.commitLat), AckLatency: quantiles(t.ackLat), ReadLatency: quantiles(t.readLat),
		Diffs: t.diffs, Truncs: t.truncs, Snaps: t.snaps, Probes: t.probes, LongestProbeRounds: t.longestRow,
		RoundTrips: -1, MessagesPerCommit: -1, BytesPerCommit: -1, FsyncsPerCommit: -1, ElectionsPerFault: -1,
	}
	m.TimeToLeader = t.startLeader
	for _, took := range t.faultLeaders {
		m.TimeToLeader = max(m.TimeToLeader, took)
	}
	if t.ackCount > 0 || t.failCount > 0 || t.waiting > 0 {
		m.Unavailable = t.longest
	}
	if t.commits > 0 {
		n := float64(t.commits)
		m.MessagesPerCommit, m.BytesPerCommit, m.FsyncsPerCommit = float64(t.messages)/n, float64(t.bytes)/n, float64(t.syncs)/n
	}
	if t.faults > 0 {
		m.ElectionsPerFault = float64(t.elections) / float64(t.faults)
	}
	if len(t.commitLat) > 0 {
		m.RoundTrips = float64(max(0, m.CommitLatency.P50-quantiles(t.fsyncs).P50)) / float64(2*w.sc.Latency)
	}
	m.Throughput = float64(t.ackCount) * float64(Second) / float64(max(1, w.now-w.zero))
	return m
}

// quantiles sorts times and picks from them.
func quantiles(ts []Micros) Quantiles {
	if len(ts) == 0 {
		return Quantiles{-1, -1, -1, -1}
	}
	slices.Sort(ts)
	at := func(q int) Micros { return ts[rank(len(ts), q)] }
	return Quantiles{P50: at(50), P90: at(90), P99: at(99), Max: ts[len(ts)-1]}
}

// rank is the place of a quantile, in percent, among n sorted values: the nearest rank.
func rank(n, percent int) int { return max(0, (n*percent+99)/100-1) }
