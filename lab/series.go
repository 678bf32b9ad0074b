package lab

import (
	"fmt"
	"slices"
)

// measure is one that series aggregate. A value below 0 was not measured.
type measure struct {
	name, title, unit string
	value             func(m *Measures) float64
}

// measured are in the order of tables.
var measured = []measure{
	{"timeToLeader", "time to a leader", "us", func(m *Measures) float64 { return float64(m.TimeToLeader) }},
	{"unavailable", "longest wait for a write", "us", func(m *Measures) float64 { return float64(m.Unavailable) }},
	{"elections", "elections", "1", func(m *Measures) float64 { return float64(m.Elections) }},
	{"leaders", "leaders", "1", func(m *Measures) float64 { return float64(m.Leaders) }},
	{"electionsPerFault", "elections per fault", "1", func(m *Measures) float64 { return m.ElectionsPerFault }},
	{"commitLatency.p50", "commit latency, median", "us", func(m *Measures) float64 { return float64(m.CommitLatency.P50) }},
	{"commitLatency.p99", "commit latency, p99", "us", func(m *Measures) float64 { return float64(m.CommitLatency.P99) }},
	{"roundTrips", "round trips per commit", "1", func(m *Measures) float64 { return m.RoundTrips }},
	{"ackLatency.p50", "write latency, median", "us", func(m *Measures) float64 { return float64(m.AckLatency.P50) }},
	{"ackLatency.p99", "write latency, p99", "us", func(m *Measures) float64 { return float64(m.AckLatency.P99) }},
	{"readLatency.p50", "read latency, median", "us", func(m *Measures) float64 { return float64(m.ReadLatency.P50) }},
	{"readLatency.p99", "read latency, p99", "us", func(m *Measures) float64 { return float64(m.ReadLatency.P99) }},
	{"messagesPerCommit", "messages per commit", "1", func(m *Measures) float64 { return m.MessagesPerCommit }},
	{"bytesPerCommit", "bytes per commit", "bytes", func(m *Measures) float64 { return m.BytesPerCommit }},
	{"fsyncsPerCommit", "fsyncs per commit", "1", func(m *Measures) float64 { return m.FsyncsPerCommit }},
	{"throughput", "throughput", "1/s", func(m *Measures) float64 { return m.Throughput }},
	{"acked", "writes answered", "1", func(m *Measures) float64 { return float64(m.Acked) }},
	{"failed", "writes given up", "1", func(m *Measures) float64 { return float64(m.Failed) }},
	{"reads", "reads", "1", func(m *Measures) float64 { return float64(m.Reads) }},
	{"readsFailed", "reads given up", "1", func(m *Measures) float64 { return float64(m.ReadsFailed) }},
	{"staleReads", "stale reads", "1", func(m *Measures) float64 { return float64(m.StaleReads) }},
	{"cut", "entries cut", "1", func(m *Measures) float64 { return float64(m.Cut) }},
	{"diffs", "learners brought up by DIFF", "1", func(m *Measures) float64 { return float64(m.Diffs) }},
	{"truncs", "by TRUNC", "1", func(m *Measures) float64 { return float64(m.Truncs) }},
	{"snaps", "by a snapshot", "1", func(m *Measures) float64 { return float64(m.Snaps) }},
	{"probes", "appends rejected in search of the common prefix", "1", func(m *Measures) float64 { return float64(m.Probes) }},
}

// Aggregate makes a series of runs of one scenario under one protocol, with consecutive seeds. Measures that none of them has are left out.
func Aggregate(runs []Run) Series {
	first := &runs[0]
	s := Series{
		Scenario: first.Scenario, Title: first.Title, Protocol: first.Protocol, Servers: first.Servers, Seed: first.Seed, Seeds: len(runs),
	}
	for i := range runs {
		if vs := runs[i].Violations; len(vs) > 0 {
			if s.Violations == 0 {
				s.Violated = fmt.Sprintf("seed %d, %s", runs[i].Seed, vs[0])
			}
			s.Violations += len(vs)
		}
	}
	for _, m := range measured {
		var vs []float64
		for i := range runs {
			if v := m.value(&runs[i].Measures); v >= 0 {
				vs = append(vs, v)
			}
		}
		if len(vs) == 0 {
			continue
		}
		slices.Sort(vs)
		n := len(vs)
		s.Stats = append(s.Stats, Stat{
			Name: m.name, Title: m.title, Unit: m.unit, N: n, Median: vs[rank(n, 50)], P99: vs[rank(n, 99)], Min: vs[0], Max: vs[n-1],
		})
	}
	return s
}

// MeasureNames are the names of all that series aggregate, in the order of tables.
func MeasureNames() []string {
	var names []string
	for i := range measured {
		names = append(names, measured[i].name)
	}
	return names
}
