package status

import (
	"bufio"
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"zebu/proto"
	"zebu/quorum"
)

// Stage is how far a member is on its way from an election into an epoch, in the words of zabstate.
type Stage string

// Stages.
const (
	Election        Stage = "election"
	Discovery       Stage = "discovery"
	Synchronization Stage = "synchronization"
	Broadcast       Stage = "broadcast"
)

// Ensemble is what one member knows of its ensemble.
type Ensemble struct {
	State                proto.PeerState
	Stage                Stage
	Leader               proto.ServerID // [proto.NoServer] while there is none
	Config               *quorum.Config // in force
	Me                   *quorum.Member // this server's line there, or the last one that it had
	Client               string         // host:port of the client port; "": none
	InitLimit, SyncLimit int            // ticks
	LocalSessions        bool           // localSessionsEnabled
	Master               proto.ServerID // the server that an observer learns from; the leader for others
	ServesObservers      bool           // a follower that is an observer master
	SyncedObservers      int            // that learn from it
	Leading              *Leading       // nil unless this server leads
}

// Leading is what only a leader knows.
type Leading struct {
	Since              time.Time // when it began
	Learners           int       // with a link
	SyncedFollowers    int
	NonVotingFollowers int // of these
	SyncedObservers    int
	PendingSyncs       int
	// Proposals are the sizes of proposed transactions in bytes since the last reset.
	Proposals Sizes
}

// Sizes sums up a stream of sizes: -1 before the first.
type Sizes struct{ Last, Min, Max int64 }

// ObserverLink is an observer's link, as the server that it learns from sees it.
type ObserverLink struct {
	Remote      string // address:port
	ID          proto.ServerID
	Established time.Time
	Queued      int64 // packets
	QueuedBytes int64
	Received    int64 // packets since the last reset, like those below
	Sent        int64
	Requests    int64
	LastZxid    proto.Zxid // sent, -1 for none
}

// electionAlg is the number of fast leader election, the only one there is.
const electionAlg = 3

// PeerState is the state and the stage in one, as mntr tells it.
func (e *Ensemble) PeerState() string {
	s := map[proto.PeerState]string{
		proto.Looking: "looking", proto.Leading: "leading", proto.Following: "following", proto.Observing: "observing",
	}[e.State]
	if e.Stage != Election {
		s += " - " + string(e.Stage)
	}
	return s
}

// Voting says whether the member is a participant of the configuration in force.
func (e *Ensemble) Voting() bool {
	m := e.Config.Member(e.Me.ID)
	return m != nil && !m.Observer
}

// conf writes what conf tells of the ensemble. There is no newline at the end.
func (e *Ensemble) conf(w *bufio.Writer, readOnly bool) {
	linef(w, "initLimit=%d", e.InitLimit)
	linef(w, "syncLimit=%d", e.SyncLimit)
	linef(w, "electionAlg=%d", electionAlg)
	line(w, "electionPort=", ports(e.Me, func(a quorum.PeerAddr) int { return a.Election }))
	line(w, "quorumPort=", ports(e.Me, func(a quorum.PeerAddr) int { return a.Quorum }))
	peerType := 0
	if e.Me.Observer {
		peerType = 1
	}
	linef(w, "peerType=%d", peerType)
	if readOnly {
		return
	}
	line(w, "membership: ")
	_, _ = w.WriteString(e.Config.String())
}

func ports(m *quorum.Member, port func(quorum.PeerAddr) int) string {
	var all []string
	for _, a := range m.Addrs {
		all = append(all, strconv.Itoa(port(a)))
	}
	return strings.Join(all, "|")
}

// gauges are those that only members of ensembles have.
func (e *Ensemble) gauges() []Gauge {
	g := []Gauge{{"quorum_size", int64(e.Config.Voters().Len())}}
	if l := e.Leading; l != nil {
		g = append(g, []Gauge{
			{"learners", int64(l.Learners)},
			{"synced_followers", int64(l.SyncedFollowers)},
			{"synced_non_voting_followers", int64(l.NonVotingFollowers)},
			{"synced_observers", int64(l.SyncedObservers)},
			{"pending_syncs", int64(l.PendingSyncs)},
			{"leader_uptime", time.Since(l.Since).Milliseconds()},
			{"last_proposal_size", l.Proposals.Last},
			{"max_proposal_size", l.Proposals.Max},
			{"min_proposal_size", l.Proposals.Min},
		}...)
	} else if e.ServesObservers {
		g = append(g, Gauge{"synced_observers", int64(e.SyncedObservers)})
	}
	return g
}

// dumpSessions writes the sessions for dump: those that this server lets expire in groups by time, others by themselves.
func dumpSessions(w *bufio.Writer, e *Ensemble, sessions []Session) {
	var local, global []expiring
	for _, s := range sessions {
		row := expiring{s.Expiry, hexID(s.ID)}
		if s.Local {
			local = append(local, row)
		} else {
			global = append(global, row)
		}
	}
	prefix := ""
	if e != nil && e.LocalSessions {
		writeExpiring(w, "Local Session", local)
		prefix = "Global "
	}
	if e == nil || e.State == proto.Leading {
		writeExpiring(w, prefix+"Session", global)
		return
	}
	linef(w, "Global Sessions(%d):", len(global))
	slices.SortFunc(sessions, func(a, b Session) int { return cmp.Compare(a.ID, b.ID) })
	for _, s := range sessions {
		if !s.Local {
			linef(w, "%s\t%dms", hexID(s.ID), s.Timeout)
		}
	}
}
