package admin

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
)

// goRuntime is what the Go runtime tells of itself.
type goRuntime struct {
	heapUsed, heapHeld, otherUsed uint64  // bytes
	limit                         float64 // of memory, in bytes; -1 for none
	goroutines                    uint64
	collections                   uint64
	pauses                        pauses // of all goroutines for garbage collections
}

func readRuntime() goRuntime {
	s := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/total:bytes"}, {Name: "/sched/goroutines:goroutines"},
		{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/sched/pauses/total/gc:seconds"},
	}
	metrics.Read(s)
	r := goRuntime{limit: -1, heapUsed: s[0].Value.Uint64()}
	r.heapHeld = r.heapUsed + s[1].Value.Uint64() + s[2].Value.Uint64()
	total := s[4].Value.Uint64()
	r.otherUsed = total - min(total, r.heapHeld+s[3].Value.Uint64())
	r.goroutines, r.collections = s[5].Value.Uint64(), s[6].Value.Uint64()
	r.pauses = summarize(s[7].Value.Float64Histogram())
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		r.limit = float64(limit)
	}
	return r
}

// pauses sums up a histogram of the Go runtime. The sum is taken from the buckets' middles, in seconds.
type pauses struct {
	hist  *metrics.Float64Histogram
	count uint64
	sum   float64
}

func summarize(h *metrics.Float64Histogram) pauses {
	p := pauses{hist: h}
	for i, n := range h.Counts {
		if n > 0 {
			p.count += n
			p.sum += float64(n) * p.middle(i)
		}
	}
	return p
}

// middle is a value in the middle of bucket i, whose bounds may be infinite.
func (p pauses) middle(i int) float64 {
	low, high := p.hist.Buckets[i], p.hist.Buckets[i+1]
	switch {
	case math.IsInf(low, -1):
		return high
	case math.IsInf(high, 1):
		return low
	}
	return (low + high) / 2
}

// quantile returns the value that the share q of the pauses does not exceed, NaN if there are none.
func (p pauses) quantile(q float64) float64 {
	rank, seen := uint64(math.Ceil(q*float64(p.count))), uint64(0)
	for i, n := range p.hist.Counts {
		if seen += n; n > 0 && seen >= rank {
			return p.middle(i)
		}
	}
	return math.NaN()
}
