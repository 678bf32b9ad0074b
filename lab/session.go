package lab

import (
	"errors"
	"fmt"
)

// Session is a run that somebody steers by hand. It is deterministic: the same calls lead to the same events. It is not safe for concurrent
// use.
type Session struct {
	w *world
}

// maxSession bounds the memory that a session can take, in events.
const maxSession = 200_000

// ErrSessionOver says that a session has grown too long to go on.
var ErrSessionOver = errors.New("lab: the session is over: begin another one")

// Playground is a scenario in which nothing happens by itself. Unless cold, it begins when all servers follow a leader.
func Playground(servers int, cold bool) (*Scenario, error) {
	sc := newScenario("playground", "")
	sc.Title, sc.About = "By hand", "Nothing happens but what you do."
	sc.Servers, sc.Cold, sc.Duration = servers, cold, 600*Second
	return sc, sc.validate()
}

// NewSession begins a session with a scenario, whose steps and clients do what they do by themselves.
func NewSession(sc *Scenario, protocolName string, seed uint64) (*Session, error) {
	p, err := protocol(protocolName)
	if err != nil {
		return nil, err
	}
	w := newWorld(sc, p, seed, true)
	w.begin()
	return &Session{w}, nil
}

// Now is the session's time.
func (s *Session) Now() Micros { return s.w.now - s.w.zero }

// Next is when something is due next; not all that is due makes an event.
func (s *Session) Next() (Micros, bool) {
	at, ok := s.w.agenda.Next()
	if !ok {
		return 0, false
	}
	return at - s.w.zero, true
}

// Step goes on until so many events have happened or, with none, a second has gone by. It returns how many did.
func (s *Session) Step(n int) (int, error) {
	w := s.w
	begun, limit := len(w.rec.events), w.now+Second
	for len(w.rec.events)-begun < n {
		if len(w.rec.events) >= maxSession {
			return len(w.rec.events) - begun, ErrSessionOver
		}
		if !w.agenda.Due(limit) {
			w.now = limit
			break
		}
		before := len(w.rec.events)
		w.step()
		if len(w.rec.events) > before {
			limit = w.now + Second
		}
	}
	return len(w.rec.events) - begun, nil
}

// RunUntil lets time go by.
func (s *Session) RunUntil(t Micros) error {
	w := s.w
	for w.agenda.Due(w.zero + t) {
		if len(w.rec.events) >= maxSession {
			return ErrSessionOver
		}
		w.step()
	}
	w.now = max(w.now, w.zero+t)
	return nil
}

// server returns a server by its number.
func (s *Session) server(id int) (*Server, error) {
	if id < 1 || id > len(s.w.servers) {
		return nil, fmt.Errorf("there is no server %d", id)
	}
	return s.w.servers[id-1], nil
}

// mark notes what was done.
func (s *Session) mark(format string, args ...any) {
	s.w.marks = append(s.w.marks, Mark{At: s.Now(), Text: fmt.Sprintf(format, args...)})
}

// Crash kills a server's process, or with power switches its machine off.
func (s *Session) Crash(id int, power bool) error {
	h, err := s.server(id)
	if err != nil || !h.up {
		return err
	}
	what := "crash"
	if power {
		what = "power"
	}
	s.mark("%s server %d", what, id)
	s.w.stop([]int{id}, power)
	return nil
}

// Restart starts a server's process, if there is none.
func (s *Session) Restart(id int) error {
	h, err := s.server(id)
	if err != nil || h.up {
		return err
	}
	s.mark("start server %d", id)
	h.boot()
	s.w.tally.booted(s.w)
	return nil
}

// Cut stops what goes from one server to another; the other direction is a cut of its own. Heal takes cuts away: of one direction, or, with two
// zeros, all.
func (s *Session) Cut(from, to int) error {
	if err := s.pair(from, to); err != nil || s.w.isCut(from, to) {
		return err
	}
	s.mark("cut server %d > server %d", from, to)
	s.w.tally.fault(s.w, []int{from, to})
	s.w.cut(from, to)
	return nil
}

// Heal takes cuts away: see [Session.Cut].
func (s *Session) Heal(from, to int) error {
	if from == 0 && to == 0 {
		s.mark("heal")
		s.w.healAll(s.w.named("all", nil))
		return nil
	}
	if err := s.pair(from, to); err != nil || !s.w.isCut(from, to) {
		return err
	}
	s.mark("heal server %d > server %d", from, to)
	s.w.heal(from, to)
	return nil
}

func (s *Session) pair(from, to int) error {
	if _, err := s.server(from); err != nil {
		return err
	}
	if _, err := s.server(to); err != nil {
		return err
	}
	if from == to {
		return fmt.Errorf("server %d has no link to itself", from)
	}
	return nil
}

// Cuts are the cuts in force: from, to.
func (s *Session) Cuts() [][2]int {
	var out [][2]int
	for from := range s.w.cuts {
		for to := range s.w.cuts[from] {
			if s.w.isCut(from+1, to+1) {
				out = append(out, [2]int{from + 1, to + 1})
			}
		}
	}
	return out
}

// SlowDisk makes a server's syncs so many times as slow; 1 is as usual.
func (s *Session) SlowDisk(id int, factor float64) error {
	h, err := s.server(id)
	if err != nil {
		return err
	}
	if !(factor > 0 && factor <= 1000) {
		return fmt.Errorf("a disk cannot be %g times as slow", factor)
	}
	s.mark("disk server %d x%g", id, factor)
	h.disk.slow = factor
	s.w.record(Event{Kind: SlowDisk, Server: id, Index: -1, Note: fmt.Sprintf("%g times as slow", factor)})
	return nil
}

// ClientWrite issues a write, at a server or, with 0, where the client takes the leader to be. It returns the command's number.
func (s *Session) ClientWrite(server int) (int, error) {
	c := s.w.clients[0]
	if server != 0 {
		if _, err := s.server(server); err != nil {
			return 0, err
		}
		c.leader = server
	} else if l := s.w.leading(); l != 0 {
		c.leader = l
	}
	if c.over() {
		return 0, ErrSessionOver
	}
	c.issue()
	return len(s.w.ledger.all), nil
}

// ClientRead issues a read at a server. It returns the command's number.
func (s *Session) ClientRead(server int, how Strategy) (int, error) {
	if _, err := s.server(server); err != nil {
		return 0, err
	}
	if how != ReadLocal && how != ReadLeader && how != ReadQuorum {
		return 0, fmt.Errorf("%q is no way to read", how)
	}
	w := s.w
	c := &client{w: w, id: len(w.clients) + 1, g: &Group{Read: how}, home: server, leader: server}
	if c.over() {
		return 0, ErrSessionOver
	}
	w.clients = append(w.clients, c)
	c.issue()
	return len(w.ledger.all), nil
}

// State is a picture of every server.
func (s *Session) State() []State {
	var out []State
	for _, h := range s.w.servers {
		out = append(out, h.state())
	}
	return out
}

// Events returns what has happened since an earlier call, which returned next.
func (s *Session) Events(since int) (events []Event, next int) {
	all := s.w.rec.events
	return all[min(max(0, since), len(all)):], len(all)
}

// Run is the session so far.
func (s *Session) Run() *Run {
	w := s.w
	return &Run{
		Scenario: w.sc.Name, Title: w.sc.Title, About: w.sc.About, Protocol: w.p.Name(), Seed: w.seed, Servers: w.sc.Servers,
		Duration: s.Now(), Marks: w.marks, Events: w.rec.events, Measures: w.tally.measures(w), Commands: w.ledger.commands(w), Violations: w.problems,
	}
}
