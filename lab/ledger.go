package lab

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// ledger knows of every command where it was logged and what became of it.
type ledger struct {
	all []*Command // by ID-1
	at  map[int]*story
}

// story is what happened to a write.
type story struct {
	proposed  []place // by whom and as what
	logged    []place // and on whose disk
	removed   []place
	why       string // the last removal's reason
	decided   bool
	by        place // who found it committed first, and in which epoch
	then      place // and who after that
	decidedAs place
}

// place is an entry in a server's log.
type place struct {
	server       int
	epoch, index int64
}

func (l *ledger) init() { l.at = map[int]*story{} }

// issue makes the next command of a client.
func (l *ledger) issue(c *client) *Command {
	cmd := &Command{ID: len(l.all) + 1, Client: c.id, Op: "write", Sent: c.w.now - c.w.zero, Index: -1, sent: c.w.now}
	if c.g.Writers {
		cmd.payload = make([]byte, c.w.sc.Size)
		binary.BigEndian.PutUint64(cmd.payload, uint64(cmd.ID))
	}
	l.all = append(l.all, cmd)
	return cmd
}

// commandOf returns the command that an entry's bytes hold, 0 if none.
func commandOf(data []byte) int {
	if len(data) < 8 {
		return 0
	}
	return int(binary.BigEndian.Uint64(data))
}

func (l *ledger) story(cmd int) *story {
	s := l.at[cmd]
	if s == nil {
		s = &story{}
		l.at[cmd] = s
	}
	return s
}

func (l *ledger) proposed(server, cmd int, epoch, index int64) {
	if cmd != 0 {
		s := l.story(cmd)
		s.proposed = append(s.proposed, place{server, epoch, index})
	}
}

func (l *ledger) logged(server, cmd int, epoch, index int64) {
	if cmd == 0 {
		return
	}
	s := l.story(cmd)
	if p := (place{server, epoch, index}); !slices.Contains(s.logged, p) {
		s.logged = append(s.logged, p)
	}
}

func (l *ledger) removed(w *world, server, cmd int, epoch, index int64, note string) {
	if cmd == 0 {
		return
	}
	s := l.story(cmd)
	p := place{server, epoch, index}
	if s.decided && s.decidedAs.epoch == epoch && s.decidedAs.index == index {
		w.violated("server %d has removed command %d, which is committed as %d:%d", server, cmd, epoch, index)
	}
	s.removed = append(s.removed, p)
	s.why = note
}

func (l *ledger) decided(s *Server, cmd int, epoch, index int64) {
	st := l.story(cmd)
	if !st.decided {
		st.decided, st.by, st.decidedAs = true, place{s.id, s.epoch, 0}, place{0, epoch, index}
		s.w.tally.commits++
	}
}

// learned notes who knows that a command is committed.
func (l *ledger) learned(s *Server, cmd int) {
	if st := l.story(cmd); st.then.server == 0 && st.by.server != s.id {
		st.then = place{s.id, s.epoch, 0}
	}
}

// commands tells every command's fate.
func (l *ledger) commands(w *world) []Command {
	out := make([]Command, len(l.all))
	for i, c := range l.all {
		out[i] = *c
		if len(c.payload) > 0 {
			l.judge(w, &out[i])
		}
	}
	return out
}

// judge says what became of a write, and why.
func (l *ledger) judge(w *world, c *Command) {
	s := l.at[c.ID]
	if s == nil {
		c.Fate, c.Why = Never, "no leader took it"
		return
	}
	c.Epoch, c.Index = s.first()
	switch {
	case s.decided:
		c.Fate, c.Epoch, c.Index = Committed, s.decidedAs.epoch, s.decidedAs.index
		c.Why = s.whyCommitted()
	case len(s.removed) > 0 && len(s.removed) == len(s.logged):
		c.Fate = CutOff
		c.Why = fmt.Sprintf("%d:%d was on the disk of %s only; %s", c.Epoch, c.Index, servers(s.on(c.Epoch, c.Index)), s.why)
	case len(s.logged) == 0:
		c.Fate = Never
		c.Why = fmt.Sprintf("server %d proposed it as %d:%d, and it was on nobody's disk", s.proposed[0].server, c.Epoch, c.Index)
	default:
		c.Fate = Pending
		c.Why = fmt.Sprintf("%d:%d is on the disk of %s", c.Epoch, c.Index, servers(s.on(c.Epoch, c.Index)))
	}
}

// first is as what it was proposed first.
func (s *story) first() (epoch, index int64) {
	switch {
	case len(s.proposed) > 0:
		return s.proposed[0].epoch, s.proposed[0].index
	case len(s.logged) > 0:
		return s.logged[0].epoch, s.logged[0].index
	}
	return 0, -1
}

func (s *story) whyCommitted() string {
	e, i := s.decidedAs.epoch, s.decidedAs.index
	if fe, fi := s.first(); fe != e || fi != i {
		what := "was lost"
		if len(s.removed) > 0 {
			what = "was cut"
		}
		return fmt.Sprintf("its first copy %d:%d %s; its client wrote it again, as %d:%d", fe, fi, what, e, i)
	}
	if s.by.epoch > e {
		return fmt.Sprintf("kept: server %d had %d:%d in its log when it was elected for %d", s.by.server, e, i, s.by.epoch)
	}
	if s.then.epoch > e {
		return fmt.Sprintf("a quorum had it on disk in %d, and only server %d knew; server %d had it in its log when %d began", e, s.by.server, s.then.server, s.then.epoch)
	}
	return fmt.Sprintf("a quorum had it on disk in %d", e)
}

// on lists the servers that had an entry on disk.
func (s *story) on(epoch, index int64) []int {
	var ids []int
	for _, p := range s.logged {
		if p.epoch == epoch && p.index == index && !slices.Contains(ids, p.server) {
			ids = append(ids, p.server)
		}
	}
	slices.Sort(ids)
	return ids
}

// servers names some.
func servers(ids []int) string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, fmt.Sprint(id))
	}
	switch len(texts) {
	case 0:
		return "nobody"
	case 1:
		return "server " + texts[0]
	}
	last := len(texts) - 1
	return "servers " + strings.Join(texts[:last], ", ") + " and " + texts[last]
}
