// Package quorum holds who belongs to an ensemble and which sets of servers may decide for it, as pure values: the
// members of a configuration ([Config], with its text, and with what a reconfiguration makes of it), sets of servers
// ([Set]) and the rules by which a set is a quorum ([Verifier]): [Majority], [Hierarchical] with groups and weights,
// [Joint] while a reconfiguration is pending, and the [Oracle] that breaks the tie of two servers.
//
// See spec 7.5, 11.1 and 11.3.
package quorum
