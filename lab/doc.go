// Package lab runs ZAB and Raft side by side: the code of production (zebu's election and zab, and go.etcd.io/raft/v3) under one simulated
// network, disk and clock, with the same workload and the same faults, from one seed. The same scenario, protocol and seed give the same [Run],
// event for event: everything is drawn from the seed, time is virtual, and nothing depends on the order of maps or goroutines.
//
//   - A [Scenario] says what happens, in a small file: see scenarios/README.md. [Execute] runs it, [Sweep] with many seeds.
//   - A [Protocol] makes the process of a [Server], a [Node]. All that a node knows of the world comes through its methods; all that it does goes
//     through the server's: messages, connections, writes to the disk, timers, answers to clients, and what it has to tell of itself, which becomes
//     the run's [Event] values and [Measures]. Another protocol joins by implementing the two (checkers_test.go has a small one).
//   - What things cost is in cost.go, and in words in [CostModel].
//   - In every run, what servers know to be committed is compared, position by position; that nothing committed is removed from a log, and
//     that no read of a kind that promises not to misses an acknowledged write, is checked as well. What is found is in [Run].Violations.
//   - A [Session] is a run that somebody steers by hand.
package lab
