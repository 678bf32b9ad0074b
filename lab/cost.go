package lab

import "fmt"

// The cost model. Everything that costs time in a run is here or in the scenario's own lines (latency, fsync).
const (
	// recvCost and sendCost are a server's processor's time for taking a message, or handing one to the network.
	recvCost = 4 * Microsecond
	sendCost = 2 * Microsecond
	// wireBytesPerMicro is what a server's network card sends: 1 Gbit/s.
	wireBytesPerMicro = 125
	// frameBytes are Ethernet, IP and TCP headers.
	frameBytes = 66
	// diskBytesPerMicro is what a disk writes, besides the cost of the sync: 200 MB/s.
	diskBytesPerMicro = 200
	// redial is the wait between attempts to connect.
	redial = 20 * Millisecond
	// connPatience is how long a connection that nothing comes through is kept before what it holds is given up.
	connPatience = Second
	// stateKeys is how many values a snapshot holds at most.
	stateKeys = 1000
)

// snapshotBytes is the size of the state after so many commands of a size: each sets one of stateKeys keys.
func snapshotBytes(commands, size int) int { return 1024 + min(commands, stateKeys)*(size+32) }

// CostModel says what things cost in a run, and what is left out.
func CostModel() string {
	return fmt.Sprintf(`Network: between any two servers, and between a client and a server, messages arrive in order, as over TCP. A message takes 4/5 of the
scenario's latency plus an exponentially distributed time with a mean of 1/5 of it, and waits behind those sent before it. A server's network
card sends %d bytes a microsecond, with %d bytes of headers a message. A cut holds what is sent until it is healed; what it has held for more than %d ms is
lost. The two directions of a connection can be cut separately, as if TCP did not need acknowledgements. Connections are tried again every %d ms.
Disk: a write with its sync takes the scenario's fsync time, give or take a fifth, plus a microsecond for every %d bytes. What is to be logged while
a sync is under way waits and shares the next one. ZAB's epoch files and snapshots have syncs of their own; Raft's vote and term share the log's.
A process that is killed loses what it has not handed to the disk; a machine without power also loses the end of what is being written.
Processor: %d us to take a message, %d us to send one, nothing else. Applying a command costs nothing.
Sizes: ZAB's packets and notifications, and Raft's messages, as they are encoded; a snapshot has %d values at most. Taking a snapshot costs nothing, receiving
one does.
Clocks: each server has a monotonic clock, exact unless a scenario changes its pace.
Failure detection: both protocols have the scenario's heartbeat interval and timeout: ZAB as tickTime = 2 heartbeats and syncLimit = timeout / tickTime,
Raft as a tick a heartbeat and ElectionTick = timeout / heartbeat. ZAB's servers also notice that a connection to a killed process is closed, which a real kernel
tells them too; Raft's do not look at connections, as etcd's do not. Nobody is told that a machine has lost power.
Clients: a writer talks to the server that it takes for the leader, a reader to its own server; both time out, and try others. Clients reach all
servers, whatever cuts there are between those.
Raft runs with asynchronous storage writes (the leader writes its log while followers write theirs, as ZAB's does), and its election timers are
drawn from the seed, in the library's range. ZAB is zebu's election and broadcast with LearnerMaster timing as in ZooKeeper: 200 ms to wait for better
candidates, unless all have spoken.`,
		wireBytesPerMicro, frameBytes, connPatience/Millisecond, redial/Millisecond, diskBytesPerMicro, recvCost, sendCost, stateKeys)
}
