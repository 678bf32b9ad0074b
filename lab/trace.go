package lab

// Micros is virtual time, or a span of it, in microseconds.
type Micros int64

// Units of virtual time.
const (
	Microsecond Micros = 1
	Millisecond        = 1000 * Microsecond
	Second             = 1000 * Millisecond
)

// Names of protocols.
const (
	ZAB         = "zab"          // zebu's election and zab
	Raft        = "raft"         // go.etcd.io/raft/v3 without PreVote and CheckQuorum, as the paper's body describes it
	RaftPreVote = "raft-prevote" // the same with both, as etcd runs it
)

// Run is one scenario under one protocol with one seed: all that happened, and what was measured.
type Run struct {
	Scenario string `json:"scenario"`
	Title    string `json:"title"`
	About    string `json:"about"` // what the scenario shows, a few sentences
	Protocol string `json:"protocol"`
	Seed     uint64 `json:"seed"`
	Servers  int    `json:"servers"`
	Duration Micros `json:"duration"`
	// Between SkipFrom and SkipUntil, where they differ, messages, writes and clients are measured and not recorded: there is too much of the
	// same.
	SkipFrom  Micros `json:"skipFrom,omitempty"`
	SkipUntil Micros `json:"skipUntil,omitempty"`
	// Marks are the faults and other steps of the scenario, in order of time.
	Marks []Mark `json:"marks"`
	// Events is empty in runs of a series, which are measured only.
	Events   []Event   `json:"events"`
	Measures Measures  `json:"measures"`
	Commands []Command `json:"commands"`
	// Violations are what the checkers of safety found: committed histories that differ, acknowledged writes that were lost, reads that
	// claim to be linearizable and are not. It is empty unless the code under test, or the model of clocks it relies on, is broken.
	Violations []string `json:"violations"`
}

// Mark is a step of a scenario that was carried out.
type Mark struct {
	At   Micros `json:"at"`
	Text string `json:"text"` // as in the scenario's file, with the servers it fell on
}

// Kind says what an [Event] is.
type Kind string

// Kinds of events. Where not said otherwise, Server is where it happened, and Epoch what the server was in then.
const (
	// Send, Recv and Lost are a message from Server to Peer (Send), or from Peer to Server (Recv, Lost); Msg pairs them, Name is
	// its type in the protocol's own words, Epoch and Index are the message's. A Lost one never arrived: it was under way when a
	// link broke or its receiver crashed.
	Send Kind = "send"
	Recv Kind = "recv"
	Lost Kind = "lost"
	// Fsync is a write and sync of the disk that begins At and takes Dur; Index is the last entry in it, -1 if there is none, Name what was
	// written: "log", "epoch", "vote", "snapshot", "truncate".
	Fsync Kind = "fsync"
	// Role is a new role of Server: Name is "looking", "following", "leading" (ZAB), "follower", "pre-candidate", "candidate",
	// "leader" (Raft), "down". Peer is the leader, if known. A ZAB server leads or follows from the moment the election named it so;
	// Serve tells when it may serve.
	Role Kind = "role"
	// Vote is a vote cast: Peer is the candidate, Epoch the round of election (ZAB) or the term, Note what it was based on.
	Vote Kind = "vote"
	// Serve is the moment from which Server leads and may propose, or follows and serves reads (ZAB: established epoch, UPTODATE; Raft: a
	// leader has committed an entry of its term).
	Serve Kind = "serve"
	// Propose is an entry that the leader has appended for a command.
	Propose Kind = "propose"
	// Commit is an entry that Server learned to be committed; Apply one that it has applied. A leader commits first.
	Commit Kind = "commit"
	Apply  Kind = "apply"
	// Cut is an entry removed from Server's log, because the leader's history does not have it.
	Cut Kind = "cut"
	// Sync is how a learner is brought up to date: Server is the leader, Peer the learner, Name "DIFF", "TRUNC", "SNAP" (ZAB),
	// "probe" (a rejected MsgApp), "snapshot" (Raft).
	Sync Kind = "sync"
	// Crash and Restart are a process's end and start; Note says what was lost with the power.
	Crash   Kind = "crash"
	Restart Kind = "restart"
	// Partition is a link cut from Server to Peer (one direction), or restored (Heal), or made slower (SlowLink).
	Partition Kind = "partition"
	Heal      Kind = "heal"
	SlowLink  Kind = "slowLink"
	// SlowDisk and Clock are a change of Server's disk or clock; Note tells which.
	SlowDisk Kind = "slowDisk"
	Clock    Kind = "clock"
	// Member is a change of configuration in force on Server; Note lists the voters.
	Member Kind = "member"
	// Client events: Client is who, Command which ([Command].ID), Server whom the client talks to.
	ClientSend Kind = "clientSend" // a write was sent
	ClientAck  Kind = "clientAck"  // and answered
	ClientFail Kind = "clientFail" // or given up; its fate is in Commands
	ClientRead Kind = "clientRead" // a read was answered: Index is what it saw
	StaleRead  Kind = "staleRead"  // the same, but a write that had been acknowledged before the read began was missing
)

// frequent says whether events of this kind are left out where a scenario says so.
func (k Kind) frequent() bool {
	switch k {
	case Send, Recv, Lost, Fsync, Propose, Commit, Apply, ClientSend, ClientAck, ClientRead:
		return true
	}
	return false
}

// Event is one thing that happened. Events of a run are in order of time.
type Event struct {
	At      Micros `json:"at"`
	Dur     Micros `json:"dur,omitempty"` // of Fsync; of ClientAck, ClientRead and StaleRead: since it was sent
	Kind    Kind   `json:"kind"`
	Server  int    `json:"server,omitempty"` // from 1 on, 0: none
	Peer    int    `json:"peer,omitempty"`
	Epoch   int64  `json:"epoch"` // epoch (ZAB) or term (Raft)
	Index   int64  `json:"index"` // the zxid's counter, or the index in the log; -1: none
	Name    string `json:"name,omitempty"`
	Msg     int64  `json:"msg,omitempty"`   // pairs Send with Recv or Lost
	Bytes   int    `json:"bytes,omitempty"` // of a message or write
	Client  int    `json:"client,omitempty"`
	Command int    `json:"command,omitempty"`
	Note    string `json:"note,omitempty"`
}

// Fate is what became of a write.
type Fate string

// Fates of writes.
const (
	Committed Fate = "committed" // it is in the history that all servers share in the end
	CutOff    Fate = "cut"       // it was in some server's log and was removed, or overwritten
	Never     Fate = "never"     // it never was in any log
	Pending   Fate = "pending"   // it is in some log at the end of the run and neither committed nor cut
)

// Command is one thing that a client asked for.
type Command struct {
	ID     int    `json:"id"` // from 1 on, in order of issue
	Client int    `json:"client"`
	Op     string `json:"op"`   // "write", or the strategy of a read: "local", "sync", "quorum-sync", "read-index", "lease"
	Sent   Micros `json:"sent"` // first
	Done   Micros `json:"done"` // when the answer came, or the client gave up; 0: neither
	OK     bool   `json:"ok"`   // answered
	Server int    `json:"server"`
	Tries  int    `json:"tries"`
	// Of a write: what became of it and why, where it was logged first, and by which servers when its fate was sealed.
	Fate  Fate   `json:"fate,omitempty"`
	Why   string `json:"why,omitempty"`
	Epoch int64  `json:"epoch"`
	Index int64  `json:"index"`
	// Of a read: stale is how many acknowledged writes were missing.
	Stale int `json:"stale,omitempty"`

	payload []byte
	sent    Micros // in the world's time
	floor   int    // how many entries held all that had been acknowledged then
}

// Measures are one run's. Times are -1 if what they measure did not happen.
type Measures struct {
	TimeToLeader Micros `json:"timeToLeader"` // from the scenario's fault, or the start, to a leader that can commit; the longest if there are several
	Unavailable  Micros `json:"unavailable"`  // the longest time in which no write was answered although one waited
	Messages     int64  `json:"messages"`     // between servers, sent
	Bytes        int64  `json:"bytes"`        // of these
	Fsyncs       int64  `json:"fsyncs"`       // of all servers
	Commits      int64  `json:"commits"`      // writes committed
	Elections    int    `json:"elections"`    // begun: rounds of election (ZAB), terms campaigned for (Raft)
	Leaders      int    `json:"leaders"`      // leaders that could commit, one after the other
	Cut          int64  `json:"cut"`          // entries removed from logs, every server's counted
	StaleReads   int64  `json:"staleReads"`
	Reads        int64  `json:"reads"`       // answered
	ReadsFailed  int64  `json:"readsFailed"` // given up
	Acked        int64  `json:"acked"`       // writes answered
	Failed       int64  `json:"failed"`      // writes given up
	// CommitLatency is from the leader's proposal to its commit; AckLatency from a client's first attempt to its answer; ReadLatency likewise.
	CommitLatency Quantiles `json:"commitLatency"`
	AckLatency    Quantiles `json:"ackLatency"`
	ReadLatency   Quantiles `json:"readLatency"`
	// RoundTrips is the median commit latency, fsyncs left out, in round trips of the median link between servers.
	RoundTrips         float64 `json:"roundTrips"`
	Throughput         float64 `json:"throughput"` // writes answered a second
	MessagesPerCommit  float64 `json:"messagesPerCommit"`
	BytesPerCommit     float64 `json:"bytesPerCommit"`
	FsyncsPerCommit    float64 `json:"fsyncsPerCommit"`
	ElectionsPerFault  float64 `json:"electionsPerFault"`
	Diffs              int     `json:"diffs"`  // learners synchronised by what they lacked (ZAB)
	Truncs             int     `json:"truncs"` // by cutting first (ZAB)
	Snaps              int     `json:"snaps"`  // by a snapshot (both)
	Probes             int     `json:"probes"` // appends rejected while the common prefix was searched (Raft)
	LongestProbeRounds int     `json:"longestProbeRounds"`
}

// Quantiles of a set of times; all -1 if it is empty.
type Quantiles struct {
	P50 Micros `json:"p50"`
	P90 Micros `json:"p90"`
	P99 Micros `json:"p99"`
	Max Micros `json:"max"`
}

// Series is one scenario under one protocol with many seeds.
type Series struct {
	Scenario   string `json:"scenario"`
	Title      string `json:"title"`
	Protocol   string `json:"protocol"`
	Servers    int    `json:"servers"`
	Seed       uint64 `json:"seed"`  // the first one
	Seeds      int    `json:"seeds"` // how many
	Stats      []Stat `json:"stats"` // in the order of tables; only measures that mean something in the scenario
	Violations int    `json:"violations"`
	Violated   string `json:"violated,omitempty"` // the first one, with its seed
}

// Stat is one measure over the seeds in which it was measured.
type Stat struct {
	Name   string  `json:"name"`  // as the field of [Measures], such as "timeToLeader" or "ackLatency.p99"
	Title  string  `json:"title"` // for tables
	Unit   string  `json:"unit"`  // "us", "1", "1/s", "bytes"
	N      int     `json:"n"`
	Median float64 `json:"median"` // p50
	P99    float64 `json:"p99"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}
