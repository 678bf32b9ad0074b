package lab

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"zebu/internal/agenda"
)

// world is a scenario under one protocol with one seed.
type world struct {
	sc      *Scenario
	p       Protocol
	seed    uint64
	now     Micros
	agenda  agenda.Agenda[Micros]
	initial []int
	servers []*Server
	clients []*client
	pipes   [][]*pipe
	cuts    [][]int
	cutAt   [][]Micros
	slow    [][]float64
	msgs    int64

	dice struct {
		net, disk, fault, work *rand.Rand
		server                 []*rand.Rand
	}

	begun    bool   // the scenario has: what happens counts
	zero     Micros // when it did
	ended    bool
	rec      recorder
	tally    tally
	ledger   ledger
	history  []entry
	acked    int // how many entries hold all that has been acknowledged
	names    map[string]int
	armed    []*trigger
	marks    []Mark
	problems []string
}

// entry is one entry of the order that all servers agree on.
type entry struct {
	cmd          int
	epoch, index int64
	ackedAt      Micros // when its client was told, in the world's time; 0: never
}

// recorder keeps events.
type recorder struct {
	on     bool
	events []Event
}

// newWorld sets the stage. Nothing has happened yet.
func newWorld(sc *Scenario, p Protocol, seed uint64, record bool) *world {
	w := &world{sc: sc, p: p, seed: seed, names: map[string]int{}}
	w.rec.on = record
	dice := func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }
	w.dice.net, w.dice.disk, w.dice.fault, w.dice.work = dice(1), dice(2), dice(3), dice(4)
	n := sc.Servers + sc.Spares
	for id := 1; id <= n; id++ {
		w.servers = append(w.servers, &Server{w: w, id: id, rate: 1})
		w.dice.server = append(w.dice.server, dice(uint64(100+id)))
		if id <= sc.Servers {
			w.initial = append(w.initial, id)
		}
	}
	for from := 1; from <= n; from++ {
		var row []*pipe
		for to := 1; to <= n; to++ {
			row = append(row, &pipe{w: w, from: from, to: to})
		}
		w.pipes = append(w.pipes, row)
		w.cuts, w.cutAt, w.slow = append(w.cuts, make([]int, n)), append(w.cutAt, make([]Micros, n)), append(w.slow, make([]float64, n))
	}
	w.ledger.init()
	w.tally.init()
	w.makeClients()
	return w
}

func (w *world) at(t Micros, do func()) {
	w.agenda.Add(max(t, w.now), do)
}

func (w *world) after(d Micros, do func()) { w.at(w.now+d, do) }

// step lets the next thing happen. It reports false if there is none.
func (w *world) step() bool {
	if _, ok := w.agenda.Next(); !ok {
		return false
	}
	e := w.agenda.Pop()
	w.now = e.At
	e.Do()
	return true
}

// runUntil lets time go by.
func (w *world) runUntil(t Micros) {
	for w.agenda.Due(t) {
		w.step()
	}
	w.now = max(w.now, t)
}

// record keeps an event, and wakes what has waited for it.
func (w *world) record(e Event) {
	if !w.begun {
		return
	}
	if len(w.armed) > 0 {
		w.fire(&e)
	}
	if e.At = w.now - w.zero; w.rec.on && (e.At < w.sc.SkipFrom || e.At >= w.sc.SkipUntil || !e.Kind.frequent()) {
		w.rec.events = append(w.rec.events, e)
	}
}

// violated notes that something is not as the protocol promises.
func (w *world) violated(format string, args ...any) {
	if len(w.problems) < 20 {
		w.problems = append(w.problems, fmt.Sprintf("at %d us: ", w.now-w.zero)+fmt.Sprintf(format, args...))
	}
}

// check holds a server that has applied an entry to what others have applied at the same position.
func (w *world) check(s *Server, position, cmd int, epoch, index int64) {
	switch {
	case position < len(w.history):
		if h := w.history[position]; h.cmd != cmd || h.epoch != epoch || h.index != index {
			w.violated("server %d applied command %d as %d:%d, others command %d as %d:%d", s.id, cmd, epoch, index, h.cmd, h.epoch, h.index)
		}
		if cmd != 0 {
			w.ledger.learned(s, cmd)
		}
	case position > len(w.history):
		w.violated("server %d applied entry %d, of %d that anybody has", s.id, position, len(w.history))
	default:
		w.history = append(w.history, entry{cmd: cmd, epoch: epoch, index: index})
		if cmd != 0 {
			w.ledger.decided(s, cmd, epoch, index)
		}
	}
}

// leading returns the server that leads: of several that think so, the one in the latest epoch. 0 if there is none.
func (w *world) leading() int {
	best := 0
	for _, s := range w.servers {
		if s.up && s.serving && (best == 0 || s.epoch > w.servers[best-1].epoch) {
			best = s.id
		}
	}
	return best
}

// led is told of every leader that may propose.
func (w *world) led(s *Server) { w.tally.led(w, s) }

// rolesChanged is told when a server has another role.
func (w *world) rolesChanged() {
	if w.begun && w.leading() == 0 {
		w.tally.leaderless(w)
	}
}

func (w *world) proposed(s *Server, cmd int, epoch, index int64) {
	if s.id == w.leading() {
		w.tally.proposed(w, epoch, index)
	}
	w.ledger.proposed(s.id, cmd, epoch, index)
}

func (w *world) committed(s *Server, epoch, index int64) { w.tally.committed(w, epoch, index) }

// reply carries a server's answer to a client.
func (w *world) reply(s *Server, c *Command, do func(cl *client)) {
	cl := w.clients[c.Client-1]
	w.after(w.clientLatency(), func() { do(cl) })
}

// clientLatency is between a client and a server.
func (w *world) clientLatency() Micros {
	mean := w.sc.Latency
	return mean*4/5 + min(Micros(w.dice.work.ExpFloat64()*float64(mean)/5), 10*mean)
}

// ready says whether the ensemble is up: somebody leads, and all servers follow it and have what it has.
func (w *world) ready() bool {
	l := w.leading()
	if l == 0 {
		return false
	}
	for _, id := range w.initial {
		s := w.servers[id-1]
		if !s.up || id != l && s.leader != l {
			return false
		}
	}
	return true
}

// begin starts the servers and, unless the scenario begins cold, lets them elect a leader before its time begins.
func (w *world) begin() {
	if w.sc.Cold {
		w.open()
		return
	}
	for _, id := range w.initial {
		s := w.servers[id-1]
		w.after(Micros(w.dice.fault.Int64N(int64(20*Millisecond))), s.boot)
	}
	for w.now < warmLimit && !w.ready() {
		if !w.step() {
			break
		}
	}
	// Wherever in the rhythm of its heartbeats the leader is: the scenario does not begin in step with it.
	w.runUntil(w.now + settle + Micros(w.dice.fault.Int64N(int64(2*w.sc.Heartbeat))))
	// With timeouts close to the network's delay the leader may just have been replaced.
	for w.now < warmLimit && !w.ready() && w.step() {
	}
	if w.leading() == 0 {
		w.violated("no leader after %d us", w.now)
	}
	w.open()
}

// open begins the scenario's time.
func (w *world) open() {
	w.begun, w.zero = true, w.now
	w.tally.open(w)
	for _, s := range w.servers {
		if !s.up {
			continue
		}
		w.record(Event{Kind: Role, Server: s.id, Peer: s.leader, Epoch: s.epoch, Index: -1, Name: s.role})
		if s.serving {
			w.record(Event{Kind: Serve, Server: s.id, Epoch: s.epoch, Index: -1, Name: "leads"})
		}
	}
	for _, c := range w.clients {
		c.leader = w.leading()
		c.start()
	}
	w.schedule()
}

// Limits of the time before a scenario's own begins.
const (
	warmLimit = 60 * Second
	settle    = 300 * Millisecond
)

// finish ends the run and sums it up.
func (w *world) finish() *Run {
	w.ended = true
	w.tally.close(w)
	r := &Run{
		Scenario: w.sc.Name, Title: w.sc.Title, About: w.sc.About, Protocol: w.p.Name(), Seed: w.seed, Servers: w.sc.Servers, Duration: w.sc.Duration,
		SkipFrom: w.sc.SkipFrom, SkipUntil: w.sc.SkipUntil,
		Marks: w.marks, Events: w.rec.events, Measures: w.tally.measures(w), Violations: w.problems,
	}
	if w.rec.on {
		r.Commands = w.ledger.commands(w)
	}
	return r
}

// hasQuorum says whether a server and those that it can talk to are a majority.
func (w *world) hasQuorum(id int) bool {
	n := 1
	for _, o := range w.initial {
		if o != id && w.servers[o-1].up && !w.isCut(id, o) && !w.isCut(o, id) {
			n++
		}
	}
	return n > len(w.initial)/2
}

// live returns the servers with a process.
func (w *world) live() []int {
	var ids []int
	for _, s := range w.servers {
		if s.up {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// followers returns the live servers that do not lead, in order of id.
func (w *world) followers() []int {
	l := w.leading()
	return slices.DeleteFunc(w.live(), func(id int) bool { return id == l })
}
