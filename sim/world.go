package sim

import (
	"fmt"
	"math/rand/v2"

	"zebu/internal/agenda"
	"zebu/proto"
	"zebu/quorum"
)

// Options describe an ensemble and its surroundings.
type Options struct {
	Voters, Observers, Clients int
	Keys                       int // nodes that clients work on
	Pipeline                   int // requests that a client has under way at most
	Think                      Time
	QuorumSync, LogSync        bool
	EtcdUsers                  int // of the etcd API; 0: there is none
	LocalSessions              bool
	Reconfigure                Time // between reconfigurations, on average; 0 without any
	Tick                       proto.Millis
	InitLimit, SyncLimit       int
	MaxNotification            proto.Millis
	SessionTimeout             int32  // milliseconds
	Latency                    Time   // of a message, on average
	Fsync                      Time   // on average
	Turn                       Time   // how long a server takes to get to its inputs, at most
	Redial                     Time   // between attempts to connect
	SnapshotEvery              int    // transactions
	ObserverMasters            bool   // observers learn from any follower
	ReadOnly                   bool   // servers serve reads without a leader, and somebody wants them
	Oracle                     bool   // an ensemble of two has one to ask
	Reaping                    bool   // clients use containers and TTL nodes
	Locking                    bool   // and a lock
	Following                  bool   // and persistent watches
	LastCounter                uint32 // of an epoch's zxids, 0 for all that there are
	SnapSync                   bool   // learners are sent snapshots only
	OneSync                    bool   // and one of those that do not vote at a time
	EpochWait                  proto.Millis
	LogSize                    int64  // bytes, when logs are rolled
	Compression                string // of snapshots, as storage names it
	OwnLogDir                  bool   // logs are not in the directory of the snapshots
}

// DefaultOptions are a small ensemble that nothing is the matter with.
func DefaultOptions() Options {
	return Options{
		Voters: 3, Clients: 3, Keys: 4, Pipeline: 3, Think: 20 * Millisecond, QuorumSync: true, LogSync: true, Tick: 200,
		InitLimit: 10, SyncLimit: 5, MaxNotification: 2000, SessionTimeout: 2000, Latency: Millisecond, Fsync: 2 * Millisecond,
		Turn: Millisecond, Redial: 50 * Millisecond, SnapshotEvery: 200, LogSize: 32 << 10,
	}
}

// World is a simulated ensemble with its clients.
type World struct {
	o       Options
	seed    uint64
	rng     *rand.Rand
	now     Time
	agenda  agenda.Agenda[Time]
	hosts   []*Host
	clients []*client
	pairs   []*pair
	cut     [][]bool
	slow    [][]Time // factors, 0 is 1
	stuck   []*end
	config  *quorum.Config

	paths     []string // by key
	check     checker
	etcd      etcdChecker
	users     []*etcdUser
	failure   string
	recovery  Time // how long it took in the end
	hash      uint64
	steps     int
	trace     func(format string, args ...any) // nil is silent
	hooks     hooks
	beginners Time           // until when servers crash that have just got a role
	solo      proto.ServerID // whom the oracle has let go on alone, until another server has what that one has
	onlooker  *onlooker      // nil if there is none
}

// hooks let scripts and faults act when something happens.
type hooks struct {
	role    func(h *Host)                        // a server has another role
	packet  func(h *Host, p *proto.QuorumPacket) // a server is about to take a packet from a quorum link
	sending func(h *Host, p *proto.QuorumPacket) // a server is about to send one
}

// NewWorld makes an ensemble whose servers and clients have not started.
func NewWorld(seed uint64, o Options) *World {
	w := &World{o: o, seed: seed, rng: rand.New(rand.NewPCG(seed, 0x7a656275)), hash: 14695981039346656037}
	for k := range o.paths() {
		w.paths = append(w.paths, o.path(k))
	}
	w.check.init(w)
	n := o.Voters + o.Observers + o.Clients + 1
	w.cut, w.slow = make([][]bool, n), make([][]Time, n)
	for i := range n {
		w.cut[i], w.slow[i] = make([]bool, n), make([]Time, n)
	}
	w.config = &quorum.Config{}
	for i := range o.Voters + o.Observers {
		addr := quorum.PeerAddr{Host: fmt.Sprintf("h%d", i+1), Quorum: 2888, Election: 3888}
		w.config.Members = append(w.config.Members, quorum.Member{
			ID: proto.ServerID(i + 1), Addrs: []quorum.PeerAddr{addr}, Observer: i >= o.Voters,
			Client: proto.HostPort{Host: fmt.Sprintf("10.0.0.%d", i+1), Port: 2181},
		})
	}
	if err := w.config.Check(); err != nil {
		w.failf("configuration: %v", err)
	}
	w.check.config = w.config
	for i := range o.Voters + o.Observers {
		w.hosts = append(w.hosts, newHost(w, i))
	}
	w.pairs = make([]*pair, len(w.hosts)*len(w.hosts))
	for i, a := range w.hosts {
		for _, b := range w.hosts[i+1:] {
			w.pairs[a.index*len(w.hosts)+b.index] = &pair{w: w, host: [2]*Host{a, b}}
		}
	}
	for i := range o.Clients {
		w.clients = append(w.clients, newClient(w, i))
	}
	w.etcd.init(w)
	for i := range o.EtcdUsers {
		w.users = append(w.users, &etcdUser{w: w, id: i})
		w.etcd.watchers = append(w.etcd.watchers, newEtcdWatcher(w, i))
	}
	if o.ReadOnly {
		w.onlooker = &onlooker{w: w, node: n - 1}
	}
	return w
}

// Start starts all servers and clients.
func (w *World) Start() {
	for _, h := range w.hosts {
		w.after(Time(w.intn(int(500*Millisecond))), h.boot)
	}
	for _, p := range w.pairs {
		if p != nil {
			p.dial()
		}
	}
	for _, c := range w.clients {
		c.start()
	}
	for _, u := range w.users {
		u.start()
	}
	for _, x := range w.etcd.watchers {
		w.after(Time(w.intn(int(Second))), x.act)
	}
	if w.onlooker != nil {
		w.onlooker.later()
	}
}

// pair returns the election link of two servers, and which of its sides h is.
func (w *World) pair(h, o *Host) (*pair, int) {
	if h.index < o.index {
		return w.pairs[h.index*len(w.hosts)+o.index], 0
	}
	return w.pairs[o.index*len(w.hosts)+h.index], 1
}

func (w *World) host(id proto.ServerID) *Host { return w.hosts[id-1] }

func (w *World) intn(n int) int {
	if n <= 0 {
		return 0
	}
	return w.rng.IntN(n)
}

// chance is true once in n times.
func (w *World) chance(n int) bool { return w.intn(n) == 0 }

func (w *World) at(t Time, do func()) {
	w.agenda.Add(max(t, w.now), do)
}

func (w *World) after(d Time, do func()) { w.at(w.now+d, do) }

// mix makes a number part of the trace hash.
func (w *World) mix(vs ...uint64) {
	for _, v := range vs {
		w.hash = (w.hash ^ v) * 1099511628211
		w.hash ^= w.hash >> 29
	}
}

// Hash is the hash of all that has happened.
func (w *World) Hash() uint64 { return w.hash }

// Now is the virtual time.
func (w *World) Now() Time { return w.now }

// Steps is the number of events that have happened.
func (w *World) Steps() int { return w.steps }

// Err is the first violation that a checker found, nil if there is none.
func (w *World) Err() error {
	if w.failure == "" {
		return nil
	}
	return fmt.Errorf("seed %d, at %v: %s", w.seed, w.now, w.failure)
}

func (w *World) failf(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
		w.tracef("FAILURE: %s", w.failure)
	}
}

// String prints a time in seconds.
func (t Time) String() string { return fmt.Sprintf("%d.%06ds", t/Second, t%Second) }

func (w *World) tracef(format string, args ...any) {
	if w.trace != nil {
		w.trace("%11s  %s", w.now, fmt.Sprintf(format, args...))
	}
}

func (w *World) name(node int) string {
	switch {
	case node < len(w.hosts):
		return fmt.Sprintf("server %d", node+1)
	case node == len(w.hosts)+len(w.clients):
		return "onlooker"
	}
	return fmt.Sprintf("client %d", node-len(w.hosts))
}

// Step lets the next event happen. It reports false if something has failed, or nothing is left to happen.
func (w *World) Step() bool {
	if _, ok := w.agenda.Next(); !ok || w.failure != "" {
		return false
	}
	e := w.agenda.Pop()
	w.now = e.At
	w.steps++
	w.mix(uint64(e.At), e.Seq)
	e.Do()
	return w.failure == ""
}

// RunUntil lets time go by. It reports false if something has failed.
func (w *World) RunUntil(t Time) bool {
	for w.agenda.Due(t) {
		if !w.Step() {
			return false
		}
	}
	w.now = max(w.now, t)
	return w.failure == ""
}

// Await lets time go by until something is the case, for no longer than a bound. It reports whether it came to be.
func (w *World) Await(bound Time, cond func() bool) bool {
	limit := w.now + bound
	for !cond() {
		if !w.agenda.Due(limit) || !w.Step() {
			return false
		}
	}
	return true
}
