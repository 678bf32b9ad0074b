package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage may pile up beside the live heap before it is collected: little, because the tree is large and lives
// long, but never so little that a small heap is collected all the time.
const (
	leastGarbage      = 40 << 20 // bytes
	leastGarbageShare = 25       // percent of the live heap
)

// roomToBlock lets one goroutine more than there are processors run at a time: one is often in a sync of the log, which
// the runtime notices late, and one may be writing a snapshot at low priority. GOMAXPROCS in the environment takes
// precedence.
func roomToBlock() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.NumCPU() + 1)
	}
}

// restoring lets the heap grow to a large tree without being marked again and again on the way, while nothing else is done.
func restoring() (done func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(400)
	return func() { debug.SetGCPercent(before) }
}

// boundGarbage keeps the heap's share of garbage within those bounds, until ctx ends. Go's fixed default would double the
// memory of a large tree. GOGC or GOMEMLIMIT in the environment take precedence.
func boundGarbage(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		metrics.Read(live)
		debug.SetGCPercent(garbagePercent(live[0].Value.Uint64()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func garbagePercent(live uint64) int {
	live = max(live, 4<<20)
	return int(max(leastGarbageShare, leastGarbage*100/live))
}
