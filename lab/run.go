package lab

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// protocols are those that there are, in the order of tables.
var protocols = []Protocol{zabProtocol{}, raftProtocol{}, raftProtocol{preVote: true}}

// Protocols returns the names of the protocols.
func Protocols() []string {
	var names []string
	for _, p := range protocols {
		names = append(names, p.Name())
	}
	return names
}

func protocol(name string) (Protocol, error) {
	at := slices.IndexFunc(protocols, func(p Protocol) bool { return p.Name() == name })
	if at < 0 {
		return nil, fmt.Errorf("there is no protocol %q: expected one of %v", name, Protocols())
	}
	return protocols[at], nil
}

// Execute runs a scenario. With record, the run has events and commands; without, measures only. The same arguments give the same run.
func Execute(sc *Scenario, protocolName string, seed uint64, record bool) (*Run, error) {
	p, err := protocol(protocolName)
	if err != nil {
		return nil, err
	}
	w := newWorld(sc, p, seed, record)
	w.begin()
	w.runUntil(w.zero + sc.Duration)
	return w.finish(), nil
}

// Sweep runs a scenario with seeds from first on, and aggregates. The first run is recorded. How many processors there are makes no difference to
// the result.
func Sweep(sc *Scenario, protocolName string, first uint64, seeds int) (*Run, Series, error) {
	if _, err := protocol(protocolName); err != nil {
		return nil, Series{}, err
	}
	runs := make([]Run, max(1, seeds))
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(runs)) {
		all.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(runs); i = next.Add(1) - 1 {
				if r, err := Execute(sc, protocolName, first+uint64(i), i == 0); err == nil {
					runs[i] = *r
				}
			}
		})
	}
	all.Wait()
	return &runs[0], Aggregate(runs), nil
}
