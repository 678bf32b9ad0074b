// Package lab runs ZAB and Raft side by side: the code of production (zebu's election and zab, and go.etcd.io/raft/v3) under one simulated
// network, disk and clock, with the same workload and the same faults.
package lab
