package sim

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Hunt runs seeds, one after the other on each of several processors, until one fails.
type Hunt struct {
	From, To uint64    // seeds; To is the last, 0 for no end
	Until    time.Time // or it ends then, if this is not zero
	Workers  int
	// Progress, if not nil, is told how it goes after every seed. It is called by one goroutine at a time.
	Progress func(*Totals)
}

// Totals are what many runs were like together.
type Totals struct {
	Seeds                           int
	Steps, Commits, Replies, Misses int // Misses: nodes' histories too entangled to be searched in time
	Virtual                         Time
	Counts                          map[string]int
	Recovery                        Time   // the slowest
	Slowest                         uint64 // its seed
	Elapsed                         time.Duration
	Failed                          uint64 // the least seed that failed, 0 for none
	Err                             error  // its failure
}

func (t *Totals) add(seed uint64, r *Result) {
	t.Seeds++
	t.Steps += r.Steps
	t.Commits += r.Commits
	t.Replies += r.Replies
	t.Misses += r.Unsearched
	t.Virtual += r.Virtual
	for what, n := range r.Counts {
		t.Counts[what] += n
	}
	if r.Recovery > t.Recovery {
		t.Recovery, t.Slowest = r.Recovery, seed
	}
	if r.Err != nil && (t.Failed == 0 || seed < t.Failed) {
		t.Failed, t.Err = seed, r.Err
	}
}

func (t *Totals) String() string {
	return fmt.Sprintf("%d seeds, %.1f virtual hours, %d events, %d transactions, %d replies in %v (%.0f virtual seconds a second); the slowest recovery took %v, in seed %d",
		t.Seeds, float64(t.Virtual)/float64(3600*Second), t.Steps, t.Commits, t.Replies, t.Elapsed.Round(time.Second),
		float64(t.Virtual)/float64(Second)/max(t.Elapsed.Seconds(), 0.001), t.Recovery, t.Slowest)
}

// Run hunts.
func (h *Hunt) Run() *Totals {
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // runs are short, and keep little
	t := &Totals{Counts: map[string]int{}}
	start, next := time.Now(), h.From
	var mu sync.Mutex
	take := func() (seed uint64, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if t.Failed != 0 || h.To != 0 && next > h.To || !h.Until.IsZero() && time.Now().After(h.Until) {
			return 0, false
		}
		next++
		return next - 1, true
	}
	var all sync.WaitGroup
	for range max(1, h.Workers) {
		all.Go(func() {
			for {
				seed, ok := take()
				if !ok {
					return
				}
				r := Run(seed, nil)
				mu.Lock()
				t.add(seed, &r)
				t.Elapsed = time.Since(start)
				if h.Progress != nil {
					h.Progress(t)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return t
}
