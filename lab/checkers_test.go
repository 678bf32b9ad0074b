package lab

import (
	"strings"
	"testing"
)

// hasty is a protocol that promises too much: server 1 always leads, answers at once, and sends each command to the others without waiting for
// anybody. It also shows what a protocol needs to join the laboratory.
type hasty struct {
	deaf bool // servers take others' word for the order of commands, or their own
}

func (hasty) Name() string               { return "hasty" }
func (hasty) Reads(s Strategy) string    { return string(s) }
func (hasty) Linearizable(Strategy) bool { return true }

func (p hasty) Boot(s *Server) Node { return &hastyNode{s: s, p: p} }

// hastyNode keeps its log in memory, which a crash takes.
type hastyNode struct {
	s   *Server
	p   hasty
	log []int
}

func (n *hastyNode) Start() {
	if n.s.ID() == 1 {
		n.s.Took("leader", 1, 1, "")
		n.s.Serves(true, 1, 0)
		return
	}
	n.s.Took("follower", 1, 1, "")
}

func (n *hastyNode) add(cmd int) {
	at := len(n.log)
	n.log = append(n.log, cmd)
	n.s.Logged(cmd, 1, int64(at))
	n.s.Agrees(at, cmd, 1, int64(at))
}

func (n *hastyNode) Recv(_ int, m *Message) {
	if cmd := m.Body.(int); !n.p.deaf || n.s.ID() != 3 || cmd%2 == 0 {
		n.add(cmd)
	}
}

func (n *hastyNode) Write(c *Command) {
	if n.s.ID() != 1 {
		n.s.Refuse(c, 1)
		return
	}
	n.s.Proposed(c.ID, 1, int64(len(n.log)))
	n.add(c.ID)
	n.s.Answer(c, len(n.log)-1)
	for id := 2; id <= 3; id++ {
		n.s.Send(id, &Message{Name: "COMMAND", Epoch: 1, Index: int64(len(n.log) - 1), Bytes: len(c.payload), Body: c.ID})
	}
}

func (n *hastyNode) Read(c *Command, _ Strategy) { n.s.AnswerRead(c, len(n.log)) }
func (n *hastyNode) PeerUp(int)                  {}
func (n *hastyNode) PeerDown(int)                {}
func (n *hastyNode) PeerLost(int)                {}
func (n *hastyNode) Change([]int)                {}
func (n *hastyNode) State() State                { return State{Role: n.s.role} }

// TestCheckersSee: a protocol that does not keep its promises does not get away with it.
func TestCheckersSee(t *testing.T) {
	for _, tc := range []struct {
		name, text, want string
		deaf             bool
	}{
		{"a read that misses an answered write", "readers 3 quorum every 5ms\nat 20ms link server 1 > others x100", "misses", false},
		{"a history that begins anew", "at 100ms crash server 1\nat 120ms start server 1", "others command", false},
		{"servers that apply different commands", "", "others command", true},
	} {
		sc, err := ParseScenario("hasty", "servers 3\nduration 300ms\nwriters 2 every 10ms\n"+tc.text)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(sc, hasty{tc.deaf}, 1, true)
		w.begin()
		w.runUntil(w.zero + sc.Duration)
		if r := w.finish(); !strings.Contains(strings.Join(r.Violations, "\n"), tc.want) {
			t.Errorf("%s: %v", tc.name, r.Violations)
		}
	}
}

// TestCutOfCommitted: a committed entry that a server removes is a violation.
func TestCutOfCommitted(t *testing.T) {
	sc, err := ParseScenario("s", "servers 3\nduration 200ms\nwriters 1 every 20ms")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(sc, zabProtocol{}, 1, true)
	w.begin()
	w.runUntil(w.zero + 100*Millisecond)
	h := w.history[len(w.history)-1]
	w.servers[0].Removed(h.cmd, h.epoch, h.index, "a bug")
	if r := w.finish(); len(r.Violations) != 1 || !strings.Contains(r.Violations[0], "is committed") {
		t.Errorf("%v", r.Violations)
	}
}
