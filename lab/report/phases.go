package report

import (
	"fmt"

	"zebu/lab"
)

// Phase is a part of the time that the servers were without a leader who can commit.
type Phase struct {
	Kind string     `json:"kind"` // see the constants below
	Name string     `json:"name"` // a word or two, for the diagram
	Text string     `json:"text"` // a sentence
	From lab.Micros `json:"from"`
	To   lab.Micros `json:"to"`
}

// Kinds of phases: nobody has noticed yet; an election is on; the elected takes an epoch that a quorum accepts (ZAB's phase 1); somebody is
// elected and makes histories equal (ZAB's phase 2), or commits the first entry of the term (Raft).
const (
	detect    = "detect"
	elect     = "elect"
	discover  = "discover"
	establish = "establish"
)

// waiting is the name of [detect] where there was no leader before.
const waiting = "waiting"

// Phases are how each new leader of a run came about: what went before until somebody wanted to be, or looked for, a leader; the election
// until one was elected; and what the elected did until it could commit.
func Phases(r lab.Run) []Phase {
	var phases []Phase
	p := tenure{run: r, role: map[int]string{}, up: map[int]bool{}, elected: map[int]lab.Micros{}, syncs: map[int]lab.Micros{}, fault: -1, looked: -1}
	for _, e := range r.Events {
		if e.Kind == lab.Serve && leads(p.role[e.Server]) {
			phases = append(phases, p.phases(e)...)
		}
		p.take(e)
	}
	return phases
}

// tenure follows the roles of servers through a run.
type tenure struct {
	run     lab.Run
	role    map[int]string
	up      map[int]bool       // whose process runs
	elected map[int]lab.Micros // since when a server leads
	syncs   map[int]lab.Micros // when it first brought a learner up to date since
	leader  int                // the newest that served, 0: none
	lost    lab.Micros         // when the leader crashed, or 0 if there was none yet; -1: it is there
	fault   lab.Micros         // the newest fault, -1: there was none
	commit  lab.Micros         // when it last learned of a commit
	looked  lab.Micros         // when somebody first looked for another since; -1: nobody did
}

func leads(role string) bool { return role == "leading" || role == "leader" }

func looks(role string) bool {
	return role == "looking" || role == "candidate" || role == "pre-candidate"
}

// take notes an event.
func (t *tenure) take(e lab.Event) {
	switch e.Kind {
	case lab.Role:
		switch {
		case leads(e.Name) && !leads(t.role[e.Server]):
			t.elected[e.Server] = e.At
			delete(t.syncs, e.Server)
		case looks(e.Name) && t.looked < 0:
			t.looked = e.At
		case e.Server == t.leader && leads(t.role[e.Server]) && t.lost < 0 && t.fault < 0:
			t.lost = e.At // it gave up by itself
		}
		t.role[e.Server] = e.Name
		if e.Name != "down" {
			t.up[e.Server] = true
		}
	case lab.Partition, lab.SlowLink, lab.SlowDisk, lab.Clock:
		if t.looked < 0 {
			t.fault = e.At
		}
	case lab.Sync:
		if _, ok := t.syncs[e.Server]; !ok {
			t.syncs[e.Server] = e.At
		}
	case lab.Commit:
		if e.Server == t.leader {
			t.commit = e.At
		}
	case lab.Restart:
		t.up[e.Server] = true
		if t.lost >= 0 && len(t.up) == t.run.Servers/2+1 {
			// Before, nobody could have led.
			t.leader, t.lost = 0, e.At
			if t.looked >= 0 {
				t.looked = e.At
			}
		}
	case lab.Crash:
		delete(t.role, e.Server)
		delete(t.up, e.Server)
		if e.Server == t.leader {
			t.lost, t.looked = e.At, -1
		}
	case lab.Serve:
		if leads(t.role[e.Server]) {
			t.leader, t.lost, t.fault, t.looked = e.Server, -1, -1, -1
		}
	}
}

// phases are those that led to a leader that begins to serve.
func (t *tenure) phases(served lab.Event) []Phase {
	elected, ok := t.elected[served.Server]
	if !ok || t.leader == served.Server && t.lost < 0 {
		return nil
	}
	began := t.lost
	if began < 0 {
		// The old leader is still there, but something befell it or its links. It may have gone on for a while.
		began = t.fault
		if began >= 0 && t.commit > began {
			began = t.commit
		}
	}
	if began < 0 {
		return nil
	}
	looked := t.looked
	if looked < began || looked > elected {
		looked = began
	}
	var phases []Phase
	add := func(kind, name, text string, from, to lab.Micros) {
		if to > from {
			phases = append(phases, Phase{Kind: kind, Name: name, Text: text + " " + span(float64(to-from)) + ".", From: from, To: to})
		}
	}
	w := phaseWords[raftLike(t.run.Protocol)]
	name, text := "noticing", w.detect
	if t.leader == 0 {
		name, text = waiting, w.wait
	}
	add(detect, name, text, began, looked)
	add(elect, "election", fmt.Sprintf(w.elect, serverName(served.Server)), looked, elected)
	if first, ok := t.syncs[served.Server]; ok && !raftLike(t.run.Protocol) {
		add(discover, "discovery", fmt.Sprintf("Discovery (phase 1): a quorum tells %s its newest epochs, and promises to follow none older than the one that it takes:", serverName(served.Server)), elected, first)
		elected = first
	}
	add(establish, w.short, fmt.Sprintf(w.establish, serverName(served.Server)), elected, served.At)
	return phases
}

func raftLike(protocol string) bool { return protocol != lab.ZAB }

// phaseWords are what happens in each phase: ZAB's, and Raft's.
var phaseWords = map[bool]struct{ detect, wait, elect, short, establish string }{
	false: {
		detect:    "Until a server looks for a new leader:",
		wait:      "Until a server looks for a leader:",
		elect:     "Fast leader election: servers exchange votes until a quorum agrees on the one with the newest history; until it names %s:",
		short:     "synchronisation",
		establish: "Synchronisation (phase 2): a quorum's histories are made equal to that of %s, and are on disk, before it may propose anything:",
	},
	true: {
		detect:    "Until the election timeout of a server has run out:",
		wait:      "Until the election timeout of a server has run out:",
		elect:     "Election: candidates ask for votes until a majority has voted for %s:",
		short:     "first entry of the term",
		establish: "%s commits an empty entry of its term, and with it everything before; it takes commands meanwhile:",
	},
}
