package lab

import (
	"fmt"
	"testing"
	"time"
)

func TestSmoke(t *testing.T) {
	for _, sc := range Scenarios() {
		for _, p := range Protocols() {
			a := time.Now()
			r, err := Execute(sc, p, 1, true)
			if err != nil {
				t.Fatal(err)
			}
			b := time.Since(a)
			m := r.Measures
			fates := map[Fate]int{}
			for _, c := range r.Commands {
				fates[c.Fate]++
			}
			fmt.Printf("%-20s %-13s %5d ev %4dms ttl %d una %d msg/c %.1f fs/c %.1f el %d ld %d cut %d stale %d/%d ack %d fail %d lat %d rt %.2f thr %.0f D%d T%d S%d P%d rl %d %v %v\n", sc.Name, p, len(r.Events), b.Milliseconds(), m.TimeToLeader/1000, m.Unavailable/1000, m.MessagesPerCommit, m.FsyncsPerCommit, m.Elections, m.Leaders, m.Cut, m.StaleReads, m.Reads, m.Acked, m.Failed, m.AckLatency.P50, m.RoundTrips, m.Throughput, m.Diffs, m.Truncs, m.Snaps, m.Probes, m.ReadLatency.P50, fates, r.Violations)
		}
	}
}
