// Package sim runs whole ensembles in one goroutine under a simulated network, disk and clock. A server is the code that
// runs in production: replica.Member (election, ZAB, tree, sessions, watches) and storage, on a file system that crashes.
// Everything that happens comes from one seed: the same seed gives the same run, event for event.
//
// A [World] is an event heap and what the events act on: servers ([World.Crash], [World.Pause]), connections (in order, cut at any
// point, both ends notice at different times), and clients that work on a few nodes through the client protocol's own bytes.
// Checkers watch every step; see check.go for what they hold the ensemble to. [Run] is a run in two phases: faults, then
// everything is healed and the ensemble must converge and serve everybody within a bound.
package sim
