package report

import (
	"slices"

	"zebu/lab"
)

// maker makes a run by hand: a leader serves writes, crashes, another one is elected, the old one comes back and has an entry cut.
type maker struct {
	run lab.Run
	msg int64
}

func (m *maker) add(e lab.Event) { m.run.Events = append(m.run.Events, e) }

// send is a message and its arrival, delay later; it returns when that is.
func (m *maker) send(at lab.Micros, from, to int, name string, epoch, index int64, delay lab.Micros) lab.Micros {
	m.msg++
	m.add(lab.Event{At: at, Kind: lab.Send, Server: from, Peer: to, Name: name, Epoch: epoch, Index: index, Msg: m.msg, Bytes: 80})
	m.add(lab.Event{At: at + delay, Kind: lab.Recv, Server: to, Peer: from, Name: name, Epoch: epoch, Index: index, Msg: m.msg, Bytes: 80})
	return at + delay
}

func (m *maker) role(at lab.Micros, server int, name string, epoch int64, leader int) {
	m.add(lab.Event{At: at, Kind: lab.Role, Server: server, Name: name, Epoch: epoch, Index: -1, Peer: leader})
}

func (m *maker) serve(at lab.Micros, server int, epoch int64) {
	m.add(lab.Event{At: at, Kind: lab.Serve, Server: server, Epoch: epoch, Index: -1})
}

// write replicates an entry from a leader to others, as often as it is asked in the words of the protocol; it returns when it is committed.
func (m *maker) write(at lab.Micros, leader int, to []int, names [3]string, epoch, index int64, client int) lab.Micros {
	id := len(m.run.Commands) + 1
	m.add(lab.Event{At: at - 400, Kind: lab.ClientSend, Server: leader, Client: client, Command: id, Epoch: epoch, Index: -1})
	m.add(lab.Event{At: at, Kind: lab.Propose, Server: leader, Epoch: epoch, Index: index, Command: id})
	m.add(lab.Event{At: at, Kind: lab.Fsync, Server: leader, Epoch: epoch, Index: index, Name: "log", Dur: 900})
	var acks []lab.Micros
	for i, s := range to {
		arrived := m.send(at, leader, s, names[0], epoch, index, 500+lab.Micros(60*i))
		m.add(lab.Event{At: arrived, Kind: lab.Fsync, Server: s, Epoch: epoch, Index: index, Name: "log", Dur: 800})
		acks = append(acks, m.send(arrived+800, s, leader, names[1], epoch, index, 520))
	}
	slices.Sort(acks)
	committed := acks[1]
	m.add(lab.Event{At: committed, Kind: lab.Commit, Server: leader, Epoch: epoch, Index: index, Command: id})
	m.add(lab.Event{At: committed, Kind: lab.Apply, Server: leader, Epoch: epoch, Index: index, Command: id})
	m.add(lab.Event{At: committed + 300, Kind: lab.ClientAck, Server: leader, Client: client, Command: id, Dur: committed + 700 - at, Epoch: epoch, Index: index})
	for _, s := range to {
		told := m.send(committed, leader, s, names[2], epoch, index, 510)
		m.add(lab.Event{At: told, Kind: lab.Commit, Server: s, Epoch: epoch, Index: index, Command: id})
	}
	m.run.Commands = append(m.run.Commands, lab.Command{ID: id, Client: client, Op: "write", Sent: at - 400, Done: committed + 300, OK: true, Server: leader, Tries: 1, Fate: lab.Committed, Epoch: epoch, Index: index})
	return committed
}

const hostile = `</script><b onmouseover="x">&'"` + "`${1}`"

// leaderCrash is the run for one protocol.
func leaderCrash(protocol string) lab.Run {
	m := &maker{run: lab.Run{
		Scenario: "leader-crash", Title: "The leader crashes", About: "A leader under load stops; " + hostile, Protocol: protocol, Seed: 7, Servers: 5, Duration: 900 * lab.Millisecond,
	}}
	names := [3]string{"PROPOSAL", "ACK", "COMMIT"}
	lead, follow, look := "leading", "following", "looking"
	if raftLike(protocol) {
		names = [3]string{"MsgApp", "MsgAppResp", "MsgApp"}
		lead, follow, look = "leader", "follower", "candidate"
	}
	for s := 1; s <= 5; s++ {
		if s == 5 {
			m.role(0, s, lead, 1, 5)
		} else {
			m.role(0, s, follow, 1, 5)
		}
		m.serve(10, s, 1)
	}
	for i := range 12 {
		m.write(lab.Micros(5+9*i)*lab.Millisecond, 5, []int{1, 2, 3, 4}, names, 1, int64(i+1), 1+i%2)
	}
	const crash = 120 * lab.Millisecond
	// Proposed and on the leader's own disk when it crashes.
	m.add(lab.Event{At: crash - 800, Kind: lab.Propose, Server: 5, Epoch: 1, Index: 13, Command: 13})
	m.add(lab.Event{At: crash - 800, Kind: lab.Fsync, Server: 5, Epoch: 1, Index: 13, Name: "log", Dur: 700})
	m.run.Commands = append(m.run.Commands, lab.Command{ID: 13, Client: 1, Op: "write", Sent: crash - 1200, Done: crash + 300*lab.Millisecond, Server: 5, Tries: 2, Fate: lab.CutOff, Why: "only S5 had it, and S5 was not there when S4 was elected", Epoch: 1, Index: 13})
	m.run.Marks = []lab.Mark{{At: crash, Text: "crash the leader, S5"}}
	m.add(lab.Event{At: crash, Kind: lab.Crash, Server: 5, Epoch: 1, Index: -1, Note: "nothing unsynced"})
	noticed := crash + 40*lab.Millisecond
	if raftLike(protocol) {
		noticed = crash + 150*lab.Millisecond
	}
	elected := m.elect(noticed, look, lead, follow)
	served := elected + 3*lab.Millisecond
	for _, s := range []int{1, 2, 3} {
		if !raftLike(protocol) {
			m.add(lab.Event{At: elected + 1200, Kind: lab.Sync, Server: 4, Peer: s, Name: "DIFF", Epoch: 1, Index: 12})
		}
		m.send(elected, 4, s, map[bool]string{false: "NEWLEADER", true: "MsgApp"}[raftLike(protocol)], 2, 0, 600)
	}
	m.serve(served, 4, 2)
	for i := range 12 {
		m.write(served+lab.Micros(2+9*i)*lab.Millisecond, 4, []int{1, 2, 3}, names, 2, int64(i+1), 1+i%2)
	}
	back := 600 * lab.Millisecond
	m.add(lab.Event{At: back, Kind: lab.Restart, Server: 5, Epoch: 1, Index: -1})
	m.role(back+lab.Millisecond, 5, follow, 2, 4)
	m.add(lab.Event{At: back + 2*lab.Millisecond, Kind: lab.Sync, Server: 4, Peer: 5, Name: "TRUNC", Epoch: 2, Index: 12})
	m.add(lab.Event{At: back + 3*lab.Millisecond, Kind: lab.Cut, Server: 5, Epoch: 1, Index: 13, Command: 13})
	m.serve(back+5*lab.Millisecond, 5, 2)
	m.add(lab.Event{At: 700 * lab.Millisecond, Kind: lab.StaleRead, Server: 1, Client: 2, Command: len(m.run.Commands) + 1, Dur: 500, Epoch: 2, Index: 3})
	m.run.Commands = append(m.run.Commands, lab.Command{ID: len(m.run.Commands) + 1, Client: 2, Op: "local", Sent: 699500, Done: 700000, OK: true, Server: 1, Stale: 2})
	slices.SortStableFunc(m.run.Events, func(a, b lab.Event) int { return int(a.At - b.At) })
	m.run.Measures = lab.Measures{Truncs: 1}
	return m.run
}

// elect is an election that S4 wins; it returns when.
func (m *maker) elect(at lab.Micros, look, lead, follow string) lab.Micros {
	raft := look == "candidate"
	if raft {
		m.role(at, 4, look, 2, 0)
		for _, s := range []int{1, 2, 3, 5} {
			if s == 5 {
				m.msg++
				m.add(lab.Event{At: at, Kind: lab.Send, Server: 4, Peer: 5, Name: "MsgVote", Epoch: 2, Index: 12, Msg: m.msg})
				m.add(lab.Event{At: at + 500, Kind: lab.Lost, Server: 5, Peer: 4, Name: "MsgVote", Epoch: 2, Index: 12, Msg: m.msg})
				continue
			}
			got := m.send(at, 4, s, "MsgVote", 2, 12, 480)
			m.add(lab.Event{At: got, Kind: lab.Vote, Server: s, Peer: 4, Epoch: 2, Index: -1})
			m.role(got, s, follow, 2, 0)
			m.send(got+700, s, 4, "MsgVoteResp", 2, -1, 510)
		}
		m.role(at+1700, 4, lead, 2, 4)
		return at + 1700
	}
	for s := 1; s <= 4; s++ {
		m.role(at+lab.Micros(s*100), s, look, 1, 0)
		for o := 1; o <= 4; o++ {
			if o != s {
				m.send(at+lab.Micros(s*100), s, o, "notification", 2, 12, 500)
			}
		}
		m.add(lab.Event{At: at + 900 + lab.Micros(s), Kind: lab.Vote, Server: s, Peer: 4, Epoch: 2, Index: -1})
	}
	decided := at + 200*lab.Millisecond
	m.role(decided, 4, lead, 2, 4)
	for s := 1; s <= 3; s++ {
		m.role(decided+lab.Micros(s), s, follow, 2, 4)
	}
	return decided
}

// sample is a report's input made by hand.
func sample() (runs []lab.Run, series []lab.Series) {
	for i, p := range []string{lab.ZAB, lab.Raft} {
		runs = append(runs, leaderCrash(p))
		series = append(series, lab.Series{Scenario: "leader-crash", Title: "The leader crashes", Protocol: p, Servers: 5, Seed: 1, Seeds: 100, Stats: []lab.Stat{
			{Name: "timeToLeader", Title: "Time to a leader", Unit: "us", N: 100, Median: float64(240_000 - 80_000*i), P99: 390_000, Min: 90_000, Max: 410_000},
			{Name: "messagesPerCommit", Title: "Messages per commit", Unit: "1", N: 100, Median: float64(12 - 3*i), P99: 13, Min: 8, Max: 14},
			{Name: "fsyncsPerCommit", Title: "Fsyncs per commit", Unit: "1", N: 100, Median: 5, P99: 5.2, Min: 5, Max: 5.4},
			{Name: "cut", Title: "Entries cut", Unit: "1", N: 100, Median: float64(i), P99: 2, Min: 0, Max: 3},
		}})
	}
	return runs, series
}

var sampleCost = "A message takes 500 µs.\nA sync takes 800 µs.\n\nNothing else costs anything, not even " + hostile + "."
