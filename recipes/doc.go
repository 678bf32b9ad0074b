// Package recipes holds what programs build on ZooKeeper: locks, elections, queues, barriers, counters, ids, groups, service
// discovery, configuration and caches. It talks through github.com/go-zookeeper/zk to zebu and to Apache ZooKeeper alike,
// and uses nothing that ZooKeeper 3.5 lacks.
//
// # Sessions
//
// [Connect] opens a [Client]: one session at a time, over all the servers it is given. A lost connection is no event for
// the callers of this package: calls wait for another server, find out what became of what was under way, and go on.
// Every call takes a context and returns soon after that is done; what the call had left on the server is then deleted in the
// background. A session that ends is an event: what it held (locks, leadership, leases) is gone, and others may hold it.
//
// The server ends a session when it has heard nothing for the session timeout. The client cannot know that while it is cut
// off, so it gives up by itself when it has heard nothing for five sixths of the timeout: whoever watches [Lease.Context]
// stops before anyone else can start, as long as clocks run at one speed and a round trip takes less than a sixth of
// the timeout. A process that is suspended for longer cannot stop in time, nor can any client of any lock service. Against
// that there is the fencing token.
//
// # Fencing
//
// [Lease.Token] is the zxid at which the holder's node was created (czxid). Whoever holds a lock or leads later has a greater
// token, always, also after the lock's own nodes were deleted and made anew. A resource that is protected refuses requests with a token
// smaller than the greatest it has seen ([Fence] does that in memory), so a holder that was suspended and wakes up too late
// does no harm. Data that is itself in ZooKeeper needs no comparison: put [Lease.Check] into the Multi that changes it.
//
// # No herds
//
// Who waits, watches one node that only it watches: the one before it in the line. Where all wait for one thing (a barrier, a
// new leader to observe, a cache) all are told, which is what they asked for.
//
// # Layouts
//
// The nodes are those of Apache Curator or of kazoo ([Layout]), so that programs in Java, Python and Go share locks,
// elections, semaphores, queues and service discovery. docs/recipes.md has the table.
package recipes
