// Package client is a ZooKeeper session for zebu's own commands: the shell, status, copy. It keeps one session over a
// list of servers, re-registers its watches and identities after a reconnect, and offers every operation of release
// 3.9. It speaks the protocol that package proto encodes (spec 1 and 2) and knows no server but what that says, so it
// works with Apache ZooKeeper as with zebu.
//
// [New] returns at once and connects in the background. A call waits for a connection; see [Options.Patience] for how
// long, and [ConnectionError] for what it says when there is none.
package client
