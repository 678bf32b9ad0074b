package sim

import (
	"fmt"
	"math/rand/v2"

	"zebu/proto"
)

// faults says what goes wrong in a run, each with a weight, 0 for never.
type faults struct {
	every     Time // between two, on average
	crash     int  // one process
	power     int  // one machine
	all       int  // everything crashes
	leader    int  // the leader crashes
	beginner  int  // leaders crash while others synchronise with them, for a while
	pause     int
	isolate   int // cut one off, perhaps in one direction
	cut       int // cut two from each other, perhaps in one direction
	slow      int
	reset     int // break a connection
	lose      int // lose a disk
	midway    int // switch a machine off in the middle of what it does to its disk
	jump      int // set a wall clock
	storm     int // clients move
	drift     int // a clock goes wrong
	device    int // the disk has an error
	long      bool
	beginners Time // until when leaders crash early
}

// Result is what a run was like.
type Result struct {
	Err        error
	Hash       uint64
	Steps      int
	Virtual    Time
	Commits    int
	Replies    int
	Counts     map[string]int
	Recovery   Time // until everybody was served, once everything was healed
	Unsearched int  // nodes whose history was too entangled to be checked for linearizability in time
}

// draw makes up an ensemble and what goes wrong with it.
func draw(seed uint64) (Options, faults, Time) {
	r := rand.New(rand.NewPCG(seed, 0x6d6978))
	one := func(choices ...int) int { return choices[r.IntN(len(choices))] }
	o := DefaultOptions()
	o.Voters = one(1, 2, 3, 3, 3, 3, 4, 5, 5, 5)
	o.Observers = one(0, 0, 0, 1, 2)
	o.Clients = one(2, 3, 5, 8)
	o.Keys = one(1, 2, 4, 6)
	o.Pipeline = one(1, 2, 5, 20)
	o.Think = Time(one(2, 5, 20, 50, 100)) * Millisecond
	o.QuorumSync = r.IntN(4) > 0
	o.LogSync = r.IntN(4) > 0
	o.Tick = proto.Millis(one(100, 200, 500))
	o.InitLimit = one(5, 10)
	o.SyncLimit = one(2, 5)
	o.SessionTimeout = int32(one(2, 4, 10)) * int32(o.Tick)
	o.Latency = Time(one(100, 500, 1000, 5000, 20000))
	o.Fsync = Time(one(100, 1000, 10000, 40000))
	o.Turn = Time(one(0, 100, 1000, 5000))
	o.SnapshotEvery = one(20, 100, 1000)
	o.LogSize = int64(one(2, 16, 256)) << 10
	o.LocalSessions = r.IntN(6) == 0
	if r.IntN(3) == 0 {
		o.Reconfigure = Time(one(500, 2000, 5000)) * Millisecond
	}
	weight := func() int {
		if r.IntN(2) == 0 {
			return 0
		}
		return 1 + r.IntN(4)
	}
	f := faults{
		every: Time(one(200, 500, 1000, 3000)) * Millisecond, crash: weight(), power: weight(), all: min(weight(), 1), leader: weight(),
		beginner: min(weight(), 1), pause: weight(), isolate: weight(), cut: weight(), slow: weight(), reset: weight(), lose: weight(), midway: weight(),
		jump: weight(), storm: weight(), drift: weight(), device: weight(), long: r.IntN(4) == 0,
	}
	return o, f, Time(one(10, 20, 40)) * Second
}

// Run is the run that a seed stands for. trace, if not nil, is told what happens.
func Run(seed uint64, trace func(format string, args ...any)) Result {
	o, f, length := draw(seed)
	w := NewWorld(seed, o)
	w.trace = trace
	w.tracef("%+v", o)
	w.tracef("%+v", f)
	w.Start()
	w.after(2*Second, func() { w.trouble(&f, length) })
	w.after(2*Second, func() { w.reconfigure(length) })
	w.hooks.role = func(h *Host) { w.crashBeginner(h, &f) }
	if w.RunUntil(length) {
		w.settle(&f)
	}
	return w.result()
}

func (w *World) result() Result {
	r := Result{Err: w.Err(), Hash: w.hash, Steps: w.steps, Virtual: w.now, Commits: len(w.check.committed), Counts: w.check.counts, Recovery: w.recovery, Unsearched: w.check.unsearched}
	for _, c := range w.clients {
		r.Replies += c.done
	}
	return r
}

// bound is how long an ensemble may take to serve everybody once nothing goes wrong any more.
func (w *World) bound() Time {
	init := Time(w.o.Tick) * Time(w.o.InitLimit+w.o.SyncLimit) * Millisecond
	return 4*init + 4*Time(w.o.MaxNotification)*Millisecond + 4*Time(w.o.SessionTimeout)*Millisecond + 10*Second
}

// settle heals everything, and demands that the ensemble serves all clients from all servers, which then agree.
func (w *World) settle(f *faults) {
	w.tracef("everything is healed")
	f.beginners = 0
	w.HealAll()
	for _, h := range w.hosts {
		h.Resume()
		h.disk.CrashAfter(-1)
		h.fault = 0
		w.after(Time(w.intn(int(Second))), h.boot)
	}
	goal := make([]int, len(w.clients))
	for i, c := range w.clients {
		goal[i], c.settled = c.done+20, true
	}
	served := func() bool {
		for i, c := range w.clients {
			if c.done < goal[i] {
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
	for _, c := range w.clients {
		c.idle = true
	}
	w.Await(w.bound(), func() bool { return w.quiet() })
	if w.failure == "" && !w.quiet() {
		w.failf("servers do not agree after %v: %s", w.bound(), w.describe())
	}
	w.check.linearizable()
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

// trouble makes something go wrong, now and then until it ends.
func (w *World) trouble(f *faults, until Time) {
	if w.now >= until {
		return
	}
	w.harm(f)
	w.after(f.every/2+Time(w.intn(int(f.every)+1)), func() { w.trouble(f, until) })
}

// lasting is how long a fault lasts.
func (w *World) lasting(f *faults) Time {
	if f.long || w.chance(8) {
		return Time(w.intn(int(10 * Second)))
	}
	return Time(w.intn(int(Second)))
}

// leader is a server that leads, or thinks so; else any.
func (w *World) leader() *Host {
	for _, h := range w.hosts {
		if h.up && h.role == proto.Leading && !w.chance(4) {
			return h
		}
	}
	return w.hosts[w.intn(len(w.hosts))]
}

// harm makes one thing go wrong.
func (w *World) harm(f *faults) {
	h := w.hosts[w.intn(len(w.hosts))]
	if w.chance(3) {
		h = w.leader()
	}
	o := w.hosts[w.intn(len(w.hosts))]
	kinds := []struct {
		weight int
		do     func()
	}{
		{f.crash, func() { w.bounce(f, h, false) }},
		{f.power, func() { w.bounce(f, h, true) }},
		{f.all, func() { w.crashAll(f) }},
		{f.leader, func() { w.bounce(f, w.leader(), w.chance(2)) }},
		{f.beginner, func() { f.beginners = w.now + 2*w.lasting(f) }},
		{f.pause, func() {
			if w.chance(2) {
				h.Pause()
			} else if h.up && !h.paused {
				h.Suspend()
			}
			life := h.life
			w.after(w.lasting(f), func() {
				if h.life == life {
					h.Resume()
				}
			})
		}},
		{f.isolate, func() {
			both := w.intn(4)
			w.Isolate(h, both != 1, both != 2)
			w.after(w.lasting(f), w.HealAll)
		}},
		{f.cut, func() {
			w.Cut(h.node, o.node)
			if w.chance(2) {
				w.Cut(o.node, h.node)
			}
			w.after(w.lasting(f), func() { w.Heal(h.node, o.node); w.Heal(o.node, h.node) })
		}},
		{f.slow, func() {
			w.slow[h.node][o.node] = Time(1 + w.intn(100))
			w.after(w.lasting(f), func() { w.slow[h.node][o.node] = 0 })
		}},
		{f.reset, func() { w.reset(h, o) }},
		{f.lose, func() { w.loseDisk(f, h) }},
		{f.midway, func() { h.disk.CrashAfter(w.intn(30)) }},
		{f.jump, func() { h.jump += proto.Millis(w.intn(20000) - 10000) }},
		{f.storm, w.storm},
		{f.drift, func() { h.nextPace = Time(950 + w.intn(101)) }},
		{f.device, func() { h.fault = 1 + w.intn(100) }},
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	at := w.intn(total)
	for _, k := range kinds {
		if at -= k.weight; at < 0 {
			k.do()
			return
		}
	}
}

// bounce crashes a server, which starts again later.
func (w *World) bounce(f *faults, h *Host, power bool) {
	h.Crash(power)
	w.after(w.lasting(f), h.boot)
}

func (w *World) crashAll(f *faults) {
	power := w.chance(2)
	for _, h := range w.hosts {
		w.bounce(f, h, power)
	}
}

// crashBeginner crashes a server that has just got a role, while that is the fault of the hour.
func (w *World) crashBeginner(h *Host, f *faults) {
	if h.role != proto.Leading && !w.chance(4) || w.now >= f.beginners {
		return
	}
	life := h.life
	w.after(Time(w.intn(int(20*w.o.Latency+4*w.o.Fsync))), func() {
		if h.life == life {
			w.bounce(f, h, w.chance(2))
		}
	})
}

// reset breaks a connection.
func (w *World) reset(h, o *Host) {
	switch {
	case !h.up || h.paused:
	case h.upward != nil && w.chance(2):
		l := h.upward
		l.e.close(true)
		l.gone()
	case h.links[o.index] != nil:
		l := h.links[o.index]
		l.e.close(true)
		l.gone()
	case o != h:
		if p, i := w.pair(h, o); p.end[i] != nil {
			p.end[i].close(true)
			p.end[i] = nil
			p.dial()
		}
	}
}

// loseDisk empties a server, if all the others have their disks: no ensemble survives more.
func (w *World) loseDisk(f *faults, h *Host) {
	for _, o := range w.hosts {
		if o.lost || w.o.Voters < 3 || w.o.Reconfigure > 0 {
			return
		}
	}
	h.Crash(true)
	h.LoseDisk()
	w.after(w.lasting(f), h.boot)
}

// storm makes clients leave their servers.
func (w *World) storm() {
	for _, c := range w.clients {
		if c.e != nil && w.chance(2) {
			c.lost("moves")
		}
	}
}

// reconfigure has some client ask for another configuration, now and then until it ends.
func (w *World) reconfigure(until Time) {
	if w.now >= until || w.o.Reconfigure == 0 {
		return
	}
	if c := w.clients[w.intn(len(w.clients))]; c.ready && len(c.under) < w.o.Pipeline {
		c.reconfig()
	}
	w.after(w.o.Reconfigure/2+Time(w.intn(int(w.o.Reconfigure)+1)), func() { w.reconfigure(until) })
}

// reconfig asks for a server to leave, or to come or change its part.
func (c *client) reconfig() {
	w := c.w
	h := w.hosts[w.intn(len(w.hosts))]
	r := proto.ReconfigRequest{CurConfigID: -1, JoiningServers: []byte{}, LeavingServers: []byte{}}
	if w.chance(3) {
		r.LeavingServers = fmt.Append(nil, h.id)
	} else {
		part := "participant"
		if w.chance(3) {
			part = "observer"
		}
		r.JoiningServers = fmt.Appendf(nil, "server.%d=h%d:2888:3888:%s;10.0.0.%d:2181", h.id, h.id, part, h.id)
	}
	w.tracef("client %d asks for +%s -%s", c.index, r.JoiningServers, r.LeavingServers)
	c.send(request{op: proto.OpReconfig}, r.Append(nil))
}
