package sim

import (
	"fmt"
	"slices"

	"zebu/proto"
)

// Result is what a run was like.
type Result struct {
	Err        error
	Hash       uint64
	Steps      int
	Virtual    Time
	Commits    int
	Replies    int
	Counts     map[string]int
	Recovery   Time                // until everybody was served, once everything was healed
	Unsearched int                 // nodes whose history was too entangled to be checked for linearizability in time
	Etcd       func() *EtcdHistory // of a run that did not fail; nil without users of the etcd API
}

// String says what a run was like, in one line.
func (r *Result) String() string {
	return fmt.Sprintf("hash %016x, %d events, %v, %d transactions, %d replies, recovery in %v, %v",
		r.Hash, r.Steps, r.Virtual, r.Commits, r.Replies, r.Recovery, r.Counts)
}

// Run is the run that a seed stands for. trace, if not nil, is told what happens.
func Run(seed uint64, trace func(format string, args ...any)) Result { return NewPlan(seed).Run(trace) }

// Run carries a plan out.
func (p *Plan) Run(trace func(format string, args ...any)) Result {
	w := NewWorld(p.Seed+p.Noise*0x9e3779b97f4a7c15, p.Options)
	w.trace = trace
	w.tracef("%+v", p.Options)
	w.Start()
	for i := range p.Faults {
		f := p.Faults[i]
		w.at(f.At, func() {
			w.tracef("fault %s", f)
			w.harm(&f, p.Long)
		})
	}
	w.hooks.role = w.crashBeginner
	if w.RunUntil(p.Length) {
		w.settle(true)
	}
	return w.result()
}

func (w *World) result() Result {
	r := Result{Err: w.Err(), Hash: w.hash, Steps: w.steps, Virtual: w.now, Commits: len(w.check.committed), Counts: w.check.counts, Recovery: w.recovery, Unsearched: w.check.unsearched}
	for _, c := range w.clients {
		r.Replies += c.done
	}
	if r.Err == nil && len(w.users) > 0 {
		r.Etcd = w.etcdHistory
	}
	return r
}

// bound is how long an ensemble may take to serve everybody once nothing goes wrong any more.
func (w *World) bound() Time {
	init := Time(w.o.Tick) * Time(w.o.InitLimit+w.o.SyncLimit) * Millisecond
	return 4*init + 4*Time(w.o.MaxNotification)*Millisecond + 4*Time(w.o.SessionTimeout)*Millisecond + 10*Second
}

// settle heals everything, and demands that the ensemble serves all clients from all servers, which then agree. With
// calm, it is held for a while to what can be asked of one that nothing happens to.
func (w *World) settle(calm bool) {
	w.tracef("everything is healed")
	w.beginners = 0
	w.HealAll()
	for _, h := range w.hosts {
		h.Resume()
		h.disk.CrashAfter(-1)
		h.fault, h.full = 0, false
		clear(h.stale)
		w.after(Time(w.intn(int(Second))), h.boot)
	}
	goal := make([]int, len(w.clients))
	for i, c := range w.clients {
		goal[i], c.settled, c.home = c.done+20, true, len(w.hosts)-1-i%len(w.hosts) // observers are the last
	}
	asked := make([]int, len(w.users))
	for i, u := range w.users {
		asked[i] = u.done + 10
	}
	served := func() bool {
		for i, c := range w.clients {
			if c.done < goal[i] {
				return false
			}
		}
		for i, u := range w.users {
			if u.done < asked[i] {
				return false
			}
		}
		for _, h := range w.members() {
			if !h.up || !h.m.Serving() {
				return false
			}
		}
		return true
	}
	healed := w.now
	ok := w.Await(w.bound(), served)
	w.recovery = w.now - healed
	if !ok {
		w.failf("not everybody is served after %v: %s", w.bound(), w.describe())
		return
	}
	if calm {
		w.calm()
	}
	for _, c := range w.clients {
		c.idle = true
	}
	for _, u := range w.users {
		u.idle = true
	}
	if len(w.users) > 0 && !w.Await(w.bound()+2*longLease*Second, func() bool { return leasesEnded(w.members()) }) && w.failure == "" {
		w.failf("leases have not ended after %v", w.bound())
	}
	w.Await(w.bound(), func() bool { return w.quiet() })
	if w.failure == "" && !w.quiet() {
		w.failf("servers do not agree after %v: %s", w.bound(), w.describe())
	}
	if w.failure == "" && len(w.users) > 0 {
		w.settleEtcd(w.members())
	}
	w.check.linearizable()
}

// calm lets clients work for a while in which nothing goes wrong: nobody may lose a session, a connection or, unless it has used up an epoch's
// zxids, a leader. Sessions that nobody holds any more must end, and empty containers too. An ensemble whose messages and
// syncs take as long as its patience lasts is not held to it.
func (w *World) calm() {
	timeout := Time(w.o.SessionTimeout) * Millisecond
	if w.failure != "" || 20*(w.o.Latency+w.o.Fsync) > min(timeout/3, Time(w.o.Tick)*Time(w.o.SyncLimit)*Millisecond) {
		return
	}
	for _, c := range w.clients {
		if c.e != nil && c.e.peer.node != c.home {
			c.lost("goes home")
		}
	}
	w.RunUntil(w.now + timeout + Second) // the last consequences of what went wrong
	epochs, expired, losses, locks := len(w.check.begins), w.expired(), w.losses(), w.check.counts["locks"]
	w.RunUntil(w.now + 2*timeout + 2*Second)
	if w.failure == "" && w.o.LastCounter == 0 && len(w.check.begins) != epochs {
		w.failf("a leader is lost, and nothing goes wrong: %s", w.describe())
	}
	if w.failure == "" && w.expired() != expired && w.o.LastCounter == 0 {
		w.failf("a session is lost, and nothing goes wrong: %s", w.describe())
	}
	if w.failure == "" && w.losses() != losses && w.o.LastCounter == 0 {
		w.failf("a connection is lost, and nothing goes wrong: %s", w.describe())
	}
	if w.failure == "" && w.o.Locking && w.o.LastCounter == 0 {
		if !w.Await(w.bound(), func() bool { return w.check.counts["locks"] > locks }) {
			w.failf("nobody gets the lock any more: %s", w.locking())
		}
	}
	w.tidy()
}

// locking says how the lock and its users are.
func (w *World) locking() string {
	key := w.o.key(lockNode)
	s := fmt.Sprintf("it is %+v;", w.check.states[w.check.last()].nodes[key])
	for _, c := range w.clients {
		s += fmt.Sprintf(" client %d, session %v: holds %t %s, waits %+v;", c.index, c.session, c.holds, zx(c.token), c.watches[key])
	}
	return s
}

func (w *World) expired() (n int) {
	for _, c := range w.clients {
		n += c.expired
	}
	return n
}

func (w *World) losses() (n int) {
	for _, c := range w.clients {
		n += c.losses
	}
	return n
}

// tidy awaits the end of sessions without a client, and of what servers remove by themselves.
func (w *World) tidy() {
	ok := w.Await(w.bound(), func() bool { return w.strayed() == "" })
	if w.failure == "" && !ok {
		w.failf("%s", w.strayed())
	}
}

// strayed says what has outlived its time on a server.
func (w *World) strayed() string {
	for _, h := range w.members() {
		if !h.up || !h.m.Serving() {
			continue
		}
		for id := range h.rep.Sessions().All {
			if !slices.ContainsFunc(w.clients, func(c *client) bool { return c.session == id }) && w.onlooker == nil {
				return fmt.Sprintf("server %d: session %v does not end", h.id, id)
			}
		}
		if n := h.rep.Tree().Lookup(w.path(w.o.key(container))); n != nil {
			var st proto.Stat
			if h.rep.Tree().Stat(n, &st); st.NumChildren == 0 && st.Cversion > 0 {
				return fmt.Sprintf("server %d: an empty container stays", h.id)
			}
		}
	}
	return ""
}

// members are the servers of the newest configuration that is in force anywhere.
func (w *World) members() (members []*Host) {
	newest := w.config
	for _, h := range w.hosts {
		if h.config.Version > newest.Version {
			newest = h.config
		}
	}
	for i := range newest.Members {
		members = append(members, w.host(newest.Members[i].ID))
	}
	return members
}

// quiet says whether all servers are at the same transaction, the last one committed.
func (w *World) quiet() bool {
	for _, c := range w.clients {
		if len(c.under) > 0 {
			return false
		}
	}
	for _, h := range w.members() {
		if !h.up || !h.m.Serving() || w.check.plain(h.rep.Applied()) != w.check.last() {
			return false
		}
	}
	return true
}

func (w *World) describe() string {
	s := ""
	for _, h := range w.hosts {
		if !h.up {
			s += fmt.Sprintf(" %d down;", h.id)
			continue
		}
		a, c := h.m.Epochs()
		s += fmt.Sprintf(" %d %v of %d at %s, epochs %d %d, serving %t;", h.id, h.m.State(), h.m.Leader(), zx(h.rep.Applied()), a, c, h.m.Serving())
	}
	for _, c := range w.clients {
		s += fmt.Sprintf(" client %d: %d answers, %d under way, session %v %t;", c.index, c.done, len(c.under), c.session, c.ready)
	}
	return s
}
