package lab

import (
	"fmt"
	"strings"
)

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

// CostModel says what things cost in a run, and what is left out: paragraphs, between empty lines.
func CostModel() string {
	return strings.Join([]string{
		fmt.Sprintf("Network. Between any two servers, and between a client and a server, messages arrive in order, as over TCP. A message takes four "+
			"fifths of the scenario's latency plus an exponentially distributed time with a mean of one fifth of it, and waits behind those sent before "+
			"it. A server's network card sends %d bytes a microsecond, %d bytes of headers a message included. A cut holds what is sent until it is "+
			"healed; a connection that nothing has come through for %d ms is given up, with what it holds, unless its ends are ZAB's, which have "+
			"timeouts of their own. The two directions can be cut separately, as if TCP needed no acknowledgements. Who cannot connect tries again every %d ms.",
			wireBytesPerMicro, frameBytes, connPatience/Millisecond, redial/Millisecond),
		fmt.Sprintf("Disk. A write with its sync takes the scenario's fsync time, give or take a fifth, plus a microsecond for every %d bytes. What is to be "+
			"logged while a sync is under way waits, and shares the next one. ZAB's epoch files, and snapshots, have syncs of their own; Raft's vote "+
			"and term share the log's, and its commit index needs none. A process that is killed loses what it has not handed to the disk; a machine "+
			"without power also loses the end of what is being written.", diskBytesPerMicro),
		fmt.Sprintf("Processor. %d us to take a message and %d us to send one; nothing else costs time. Sizes are those of the encoded messages; a "+
			"snapshot has %d values at most. Taking a snapshot costs nothing, sending and installing one does.", recvCost, sendCost, stateKeys),
		"Clocks. Each server has a monotonic clock, exact unless a scenario changes its pace.",
		"Failure detection. Both protocols have the scenario's heartbeat interval and timeout: ZAB as tickTime = 2 heartbeats (so that a leader pings every " +
			"heartbeat) and syncLimit = timeout / tickTime; Raft as one tick a heartbeat and ElectionTick = timeout / heartbeat. ZAB's servers also " +
			"notice that a connection to a killed process is closed, which a kernel tells them; Raft's do not look at connections, as etcd's do not. " +
			"Nobody is told that a machine has lost power.",
		fmt.Sprintf("Clients. A writer talks to the server that it takes for the leader, a reader to its own server; an attempt is given up after %d ms, "+
			"and a write after %d s. Clients reach all servers, whatever cuts there are between those.", tryTimeout/Millisecond, writePatience/Second),
		"Implementations. ZAB is zebu's election and broadcast, which take transactions one by one. Its election ends as soon as every voter that " +
			"can be reached names the same candidate; where one is silent, it waits 200 ms for a better one, as ZooKeeper's always does. Raft is go.etcd.io/raft/v3 with asynchronous storage " +
			"writes: like ZAB's leader, its leader sends entries while it writes them. The library's election timers cannot be given a seed, so their " +
			"dice are the laboratory's, in the library's range: from the timeout to twice the timeout, in ticks. raft-prevote has PreVote and " +
			"CheckQuorum, as etcd runs it; raft has neither. Leases are what the library's ReadOnlyLeaseBased does.",
	}, "\n\n")
}
