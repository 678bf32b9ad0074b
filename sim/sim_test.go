package sim

import (
	"flag"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("sim.seed", 0, "run this seed only")
	seedsFlag = flag.Uint64("sim.seeds", 25, "run so many seeds")
	fromFlag  = flag.Uint64("sim.from", 1, "the first of them")
	lastFlag  = flag.Int("sim.last", 400, "lines of the trace to show of a failure; -1 all")
)

// tail keeps the last lines of a trace.
type tail struct {
	lines []string
	next  int
}

func (t *tail) add(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if *lastFlag < 0 || len(t.lines) < *lastFlag {
		t.lines = append(t.lines, line)
		return
	}
	t.lines[t.next] = line
	t.next = (t.next + 1) % len(t.lines)
}

// explain runs a seed again and shows how it came to fail.
func explain(t *testing.T, seed uint64) {
	var last tail
	r := Run(seed, last.add)
	for i := range last.lines {
		t.Log(last.lines[(last.next+i)%len(last.lines)])
	}
	t.Errorf("%v\nrerun: go test ./sim -run TestSeeds -sim.seed=%d -v", r.Err, seed)
}

// TestSeeds runs seeds until one fails.
func TestSeeds(t *testing.T) {
	if *seedFlag != 0 {
		r := Run(*seedFlag, nil)
		t.Logf("seed %d: hash %016x, %d events, %v, %d transactions, %d replies, %v", *seedFlag, r.Hash, r.Steps, r.Virtual, r.Commits, r.Replies, r.Counts)
		if r.Err != nil {
			explain(t, *seedFlag)
		}
		return
	}
	var mu sync.Mutex
	next, failed, slowest := *fromFlag, uint64(0), uint64(0)
	total := Result{Counts: map[string]int{}}
	start := time.Now()
	var all sync.WaitGroup
	for range max(1, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for {
				mu.Lock()
				seed := next
				next++
				stop := failed != 0 || seed >= *fromFlag+*seedsFlag
				mu.Unlock()
				if stop {
					return
				}
				r := Run(seed, nil)
				mu.Lock()
				if r.Err != nil {
					failed = seed
				}
				total.Steps += r.Steps
				total.Virtual += r.Virtual
				total.Commits += r.Commits
				total.Replies += r.Replies
				if r.Recovery > total.Recovery {
					total.Recovery, slowest = r.Recovery, seed
				}
				total.Unsearched += r.Unsearched
				for k, n := range r.Counts {
					total.Counts[k] += n
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%d seeds, %d events, %v, %d transactions, %d replies, %v, %d not searched, in %v",
		min(next-*fromFlag, *seedsFlag), total.Steps, total.Virtual, total.Commits, total.Replies, total.Counts, total.Unsearched, time.Since(start))
	t.Logf("the slowest recovery took %v, in seed %d", total.Recovery, slowest)
	if failed != 0 {
		explain(t, failed)
	}
}

// TestSameSeedSameRun holds the simulator to being deterministic.
func TestSameSeedSameRun(t *testing.T) {
	for seed := uint64(1); seed <= 8; seed++ {
		a, b := Run(seed, nil), Run(seed, func(string, ...any) {})
		if a.Hash != b.Hash || a.Steps != b.Steps {
			t.Errorf("seed %d: hash %016x after %d events, then %016x after %d", seed, a.Hash, a.Steps, b.Hash, b.Steps)
		}
	}
}

// TestPeace checks that an ensemble without faults serves at once and does a fair amount of work.
func TestPeace(t *testing.T) {
	o := DefaultOptions()
	w := NewWorld(1, o)
	w.Start()
	if !w.RunUntil(20*Second) || w.Err() != nil {
		t.Fatal(w.Err())
	}
	w.settle()
	r := w.result()
	t.Logf("%+v", r)
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	if len(w.check.begins) != 1 || r.Replies < 1000 {
		t.Errorf("%d epochs, %d replies: %s", len(w.check.begins), r.Replies, w.describe())
	}
}
