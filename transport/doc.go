// Package transport carries what members of an ensemble tell each other over TCP, byte for byte as Apache ZooKeeper does:
// the [Mesh] of connections between election ports (spec 7.1), and the [Link] between a leader and each of its learners
// on the quorum port (spec 8.1), which a [Listener] accepts and [Dial] opens. Both authenticate by SASL if they are told to
// (spec 7.4), and take connections from a wrapper, which is where TLS goes.
//
// It knows nothing of elections or of ZAB. Its owner is one goroutine, which gets values from an inbox and never waits: sending
// puts something into a bounded queue.
//
// Goroutines, each waited for by Close of what started it:
//
//   - for each address listened on, one that accepts, and one for each handshake, of which there is a bounded number;
//   - for each peer of a mesh, one that dials and then writes, and one that reads while there is a connection;
//   - for each link, a reader and a writer.
//
// Queues and what happens at their limits: the notification that waits for a peer gives way to a newer one; of more than
// 100 received notifications the oldest are dropped; a link whose queue is full is closed, and the learner
// synchronises anew; when a link's inbox is full its reader waits, and TCP pushes back.
//
// Locks guard state in memory and are never held over I/O. What a peer sends cannot do more than end its own
// connection.
package transport
