package lab

// Protocol is a way for servers to agree on one order of commands: an adapter between the laboratory and an implementation.
type Protocol interface {
	// Name is what --protocols calls it.
	Name() string
	// Boot makes the process of a server that starts. What earlier processes of the server left on its disk is s.Stored.
	Boot(s *Server) Node
	// Reads says in the protocol's own words what it does for a [Strategy].
	Reads(Strategy) string
	// Linearizable says whether reads of that strategy never miss an acknowledged write, whatever clocks and networks do.
	Linearizable(Strategy) bool
}

// Node is the process of a server. Its methods are called one at a time, never from within one of the server's.
type Node interface {
	// Start is the first call.
	Start()
	// Recv takes a message that another server's node sent with [Server.Send].
	Recv(from int, m *Message)
	// PeerUp says that another server can be reached again, or for the first time: what was sent to it since may be lost. PeerDown
	// says that it refuses connections: its machine runs, and no process there.
	PeerUp(id int)
	PeerDown(id int)
	// PeerLost says that what is sent to a server does not get there, nobody knows why.
	PeerLost(id int)
	// Write takes a client's command. It is answered with [Server.Answer] when it has been applied here, or refused.
	Write(c *Command)
	// Read takes a client's read, to be answered with [Server.AnswerRead].
	Read(c *Command, how Strategy)
	// Change makes these servers the ensemble's voters, if this server leads.
	Change(voters []int)
	// State is a picture of the process.
	State() State
}

// Linked is a node that talks over connections which it opens and closes itself, besides messages.
type Linked interface {
	Node
	// Accepts says whether this server takes connections now.
	Accepts() bool
	// Linked is told, at the end that has dialled, that there is a connection; LinkFailed that there is none.
	Linked(l *Link)
	LinkFailed(to int)
	// LinkRecv takes a message that came over a connection, LinkClosed its end.
	LinkRecv(l *Link, m *Message)
	LinkClosed(l *Link)
}

// Message is what servers send each other.
type Message struct {
	Name  string // its type in the protocol's own words
	Epoch int64
	Index int64 // -1: none
	Bytes int   // on the wire, with the protocol's own headers
	Note  string
	Body  any
	// Sent, unless nil, tells the sender whether it has got there.
	Sent func(arrived bool)

	id int64
}

// Strategy is how a client reads.
type Strategy string

// Strategies. What they are called in a protocol says [Protocol.Reads].
const (
	ReadLocal  Strategy = "local"  // whatever the server that is asked has
	ReadLeader Strategy = "leader" // with the leader's word, who asks nobody else: ZAB's sync, Raft's lease
	ReadQuorum Strategy = "quorum" // after a quorum has confirmed that the leader leads: ZAB's quorum sync, Raft's ReadIndex
)

// State is a picture of a server.
type State struct {
	ID        int    `json:"id"`
	Up        bool   `json:"up"`
	Role      string `json:"role"`   // as in events of kind [Role]
	Phase     string `json:"phase"`  // how far the role has come, where the protocol has a word for it
	Leader    int    `json:"leader"` // known, 0: none
	Serving   bool   `json:"serving"`
	Epoch     int64  `json:"epoch"`     // epoch or term
	Accepted  int64  `json:"accepted"`  // ZAB's acceptedEpoch; the term
	Vote      int    `json:"vote"`      // the candidate it names, or voted for in this term
	Round     int64  `json:"round"`     // ZAB's round of election; the term
	Committed int64  `json:"committed"` // index of the last entry known to be committed; -1: none
	CommitIn  int64  `json:"commitIn"`  // and its epoch
	Applied   int    `json:"applied"`   // number of entries applied
	// Log is the end of the log, oldest first; Skipped is how many entries come before.
	Log     []LogEntry `json:"log"`
	Skipped int        `json:"skipped"`
	Voters  []int      `json:"voters"`
}

// LogEntry is one entry of a server's log.
type LogEntry struct {
	Epoch     int64 `json:"epoch"`
	Index     int64 `json:"index"`
	Command   int   `json:"command"` // 0: none, an entry of the protocol's own
	Durable   bool  `json:"durable"`
	Committed bool  `json:"committed"` // as far as the server knows
}

// tail is how much of a log a [State] shows.
const tail = 12
