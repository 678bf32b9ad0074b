package lab

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Server is a machine with a disk and a clock, and perhaps a process; for that, it is its surroundings.
type Server struct {
	// Stored is what is on the disk, in the protocol's own form. It is nil before the first boot.
	Stored any

	w    *world
	id   int
	up   bool
	off  bool // the machine is without power: nobody is told that there is no process
	life int  // counts processes and their ends
	node Node

	clockAt, clockReal Micros // the local clock was at clockAt when clockReal was
	rate               float64
	cpuFree, wireFree  Micros
	disk               disk
	links              []*Link

	role    string
	epoch   int64
	leader  int
	serving bool // leads, and may propose
}

// ID is the server's number, from 1 on.
func (s *Server) ID() int { return s.id }

// Initial are the voters that the ensemble begins with.
func (s *Server) Initial() []int { return s.w.initial }

// Settings are the scenario's.
func (s *Server) Settings() *Scenario { return s.w.sc }

// Rand are the server's dice.
func (s *Server) Rand() *rand.Rand { return s.w.dice.server[s.id-1] }

// Clock is the server's monotonic clock.
func (s *Server) Clock() Micros {
	return s.clockAt + Micros(float64(s.w.now-s.clockReal)*s.rate)
}

// setRate makes the clock go faster or slower from now on.
func (s *Server) setRate(rate float64) {
	s.clockAt, s.clockReal, s.rate = s.Clock(), s.w.now, rate
}

// At does something when the server's clock says so, unless the process has ended.
func (s *Server) At(local Micros, do func()) {
	wait := Micros(0)
	if d := local - s.Clock(); d > 0 {
		wait = Micros(float64(d)/s.rate) + 1
	}
	s.later(wait, do)
}

// later does something in the process after a while, if that still runs.
func (s *Server) later(d Micros, do func()) {
	life := s.life
	s.w.after(d, func() {
		if s.life == life {
			do()
		}
	})
}

// work has the process do something that takes its processor a while, when that is free.
func (s *Server) work(cost Micros, do func()) {
	start := max(s.w.now, s.cpuFree)
	s.cpuFree = start + cost
	if start == s.w.now {
		do()
		return
	}
	s.later(start-s.w.now, do)
}

// Recording says whether events are kept, and notes for them worth writing.
func (s *Server) Recording() bool { return s.w.rec.on }

// Took says that the server has another role, or another leader, or is in another epoch.
func (s *Server) Took(role string, leader int, epoch int64, note string) {
	if s.role == role && s.leader == leader && s.epoch == epoch {
		return
	}
	s.role, s.leader, s.epoch, s.serving = role, leader, epoch, false
	s.w.record(Event{Kind: Role, Server: s.id, Peer: leader, Epoch: epoch, Index: -1, Name: role, Note: note})
	s.w.rolesChanged()
}

// Enter says that the server is in another epoch, in the same role.
func (s *Server) Enter(epoch int64) { s.epoch = epoch }

// Voted says that the server votes for another one.
func (s *Server) Voted(candidate int, round int64, note string) {
	s.w.record(Event{Kind: Vote, Server: s.id, Peer: candidate, Epoch: round, Index: -1, Note: note})
}

// Campaigned says that somebody is in an election of that round or term.
func (s *Server) Campaigned(round int64) { s.w.tally.election(round) }

// Serves says that the server leads and may propose, or that it follows and serves reads.
func (s *Server) Serves(leads bool, epoch, index int64) {
	s.epoch = epoch
	name := "follows"
	if leads {
		s.serving, name = true, "leads"
	}
	s.w.record(Event{Kind: Serve, Server: s.id, Epoch: epoch, Index: index, Name: name})
	if leads {
		s.w.led(s)
	}
}

// Proposed says that this server, the leader, has appended a command to its log.
func (s *Server) Proposed(cmd int, epoch, index int64) {
	s.w.record(Event{Kind: Propose, Server: s.id, Epoch: epoch, Index: index, Command: cmd})
	s.w.proposed(s, cmd, epoch, index)
}

// Logged says that an entry is in this server's log on disk.
func (s *Server) Logged(cmd int, epoch, index int64) { s.w.ledger.logged(s.id, cmd, epoch, index) }

// Removed says that an entry has been removed from this server's log.
func (s *Server) Removed(cmd int, epoch, index int64, note string) {
	s.w.record(Event{Kind: Cut, Server: s.id, Epoch: epoch, Index: index, Command: cmd, Note: note})
	s.w.tally.cut(s.w)
	s.w.ledger.removed(s.w, s.id, cmd, epoch, index, note)
}

// Commits says that the server knows that everything up to an entry is committed.
func (s *Server) Commits(epoch, index int64) {
	s.w.record(Event{Kind: Commit, Server: s.id, Epoch: epoch, Index: index})
	if s.serving {
		s.w.committed(s, epoch, index)
	}
}

// Applied says that the server has applied everything up to an entry that it had known to be committed before.
func (s *Server) Applied(epoch, index int64) {
	s.w.record(Event{Kind: Apply, Server: s.id, Epoch: epoch, Index: index})
}

// Agrees says that the server has an entry at a position (from 0 on) of the one order of all, and knows that to be committed.
func (s *Server) Agrees(position, cmd int, epoch, index int64) {
	s.w.check(s, position, cmd, epoch, index)
}

// Syncs says how this server, the leader, brings another one up to date.
func (s *Server) Syncs(learner int, how string, epoch, index int64, note string) {
	s.w.record(Event{Kind: Sync, Server: s.id, Peer: learner, Epoch: epoch, Index: index, Name: how, Note: note})
	s.w.tally.sync(s.w, learner, how)
}

// Members says which configuration is in force here.
func (s *Server) Members(voters []int) {
	s.w.record(Event{Kind: Member, Server: s.id, Epoch: s.epoch, Index: -1, Note: fmt.Sprint("voters ", voters)})
}

// Answer tells a client that its command has been applied.
func (s *Server) Answer(c *Command, position int) {
	s.w.reply(s, c, func(cl *client) { cl.acked(c, position) })
}

// Refuse tells a client that its command has not been accepted here, and who might (0: nobody known).
func (s *Server) Refuse(c *Command, hint int) {
	s.w.reply(s, c, func(cl *client) { cl.refused(c, hint) })
}

// AnswerRead tells a client the state after the first entries in the one order.
func (s *Server) AnswerRead(c *Command, entries int) {
	s.w.reply(s, c, func(cl *client) { cl.read(c, s.id, entries) })
}

// boot starts the process.
func (s *Server) boot() {
	if s.up {
		return
	}
	w := s.w
	s.life++
	s.up, s.off = true, false
	s.cpuFree, s.wireFree = w.now, w.now
	w.record(Event{Kind: Restart, Server: s.id, Epoch: s.epoch, Index: -1})
	for _, l := range slices.Clone(s.links) { // of the process before: the machine knows nothing of them
		l.reset(s)
	}
	s.node = w.p.Boot(s)
	s.node.Start()
	for _, o := range w.servers {
		if o != s {
			w.meet(s, o)
		}
	}
}

// crash ends the process. With power, the machine is switched off.
func (s *Server) crash(power bool) {
	if !s.up {
		return
	}
	w := s.w
	note := "the process was killed"
	if power {
		note = "the power went off"
	}
	note += s.disk.crash(s, power)
	w.record(Event{Kind: Crash, Server: s.id, Epoch: s.epoch, Index: -1, Note: note})
	s.life++
	s.up, s.off, s.node, s.serving = false, power, nil, false
	for _, l := range slices.Clone(s.links) {
		if power {
			l.abandon(s)
		} else {
			l.Close(s)
		}
	}
	w.dropHeld(s.id)
	s.Took("down", 0, s.epoch, "")
	if len(w.live()) == 0 {
		w.tally.lastRound = 0 // rounds of elections begin anew
	}
	if power {
		return
	}
	for _, o := range w.servers {
		if o != s && o.up && !w.isCut(o.id, s.id) {
			o.later(w.latency(s.id, o.id), func() {
				if !s.up {
					o.node.PeerDown(s.id)
				}
			})
		}
	}
}

func (s *Server) state() State {
	if !s.up {
		return State{ID: s.id, Role: "down", Epoch: s.epoch, Committed: -1}
	}
	st := s.node.State()
	st.ID, st.Up = s.id, true
	return st
}
