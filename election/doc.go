// Package election is fast leader election, as a pure state machine: an [Election] is told when to start, what
// notifications came and what time it is, and says in [Ready] what notifications to send and what was decided. It
// reads no clock, starts no goroutine and holds no lock; its caller is one goroutine.
//
// Servers in an election tell each other the best candidate they know of: the one with the greatest currentEpoch, then
// zxid, then id. Whoever hears of a better one adopts it and says so. When a quorum of every configuration in force
// names the same candidate, and no better one turned up for a while, the election is over: the candidate leads,
// the others follow it. Servers that are not in an election answer those that are, so that who comes late finds the
// leader that a quorum follows.
//
// The outcome is a guess about who can lead with the least to do, not a promise: that there is only one leader at a time
// that commits anything is ZAB's business. What election owes is to end, and to end alike everywhere.
//
// The rules are those of Apache ZooKeeper 3.9 (spec 7.2, 7.3, 7.5), with which servers of this package share
// elections. Where this one behaves otherwise, no peer can tell it from a slower or faster network:
//
//   - A decision does not wait for better candidates once every voter names the same one, since there is none. After
//     its first election, a server does not count on voters whose address refuses connections.
//   - Wherever Apache's wait starts anew with every notification, it ends here when it would have without any.
//   - Notifications that come during the wait count like all others, instead of getting lost.
//   - Who does not vote joins the leader that a quorum follows, and never the candidate of voters in an election, of
//     whose second thoughts it would not hear. They tell it the outcome if it had asked. Its consent they have, in case that a
//     configuration is pending in which it votes.
//   - A new candidate, or the first word of an ensemble at work, ends a long back-off.
//   - Two servers that take each other for outsiders do not answer each other's answers for ever.
//   - In the election after a leader that has handed over, a server may give its first vote to another one, as if that one's
//     notification had come before all others; see [Election.Favour].
//   - A configuration that cannot be read, or comes while reconfigEnabled is false, does not disturb the election.
package election
