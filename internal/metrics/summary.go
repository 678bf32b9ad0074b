package metrics

import (
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Summary sums up a stream of numbers: how many, their sum, least, greatest, average, and quantiles to within an eighth.
// If it is advanced, mntr tells percentiles too.
type Summary struct {
	name     string
	label    string // under which mntr prints it: the name, after the key if it is one of a set
	min, max atomic.Int64
	count    atomic.Int64
	sum      atomic.Int64
	hist     histogram
	advanced bool
}

func newSummary(name string, advanced bool) *Summary {
	s := &Summary{name: name, label: name, advanced: advanced}
	s.min.Store(math.MaxInt64)
	s.max.Store(math.MinInt64)
	return s
}

// Observe adds a value.
func (s *Summary) Observe(v int64) {
	s.count.Add(1)
	s.sum.Add(v)
	for cur := s.min.Load(); v < cur && !s.min.CompareAndSwap(cur, v); cur = s.min.Load() {
	}
	for cur := s.max.Load(); v > cur && !s.max.CompareAndSwap(cur, v); cur = s.max.Load() {
	}
	s.hist.counts[bucket(v)].Add(1)
}

// Count is the number of values.
func (s *Summary) Count() int64 { return s.count.Load() }

// Sum is the sum of the values.
func (s *Summary) Sum() int64 { return s.sum.Load() }

// Min is the least value, 0 before the first.
func (s *Summary) Min() int64 {
	if v := s.min.Load(); v != math.MaxInt64 {
		return v
	}
	return 0
}

// Max is the greatest value, 0 before the first.
func (s *Summary) Max() int64 {
	if v := s.max.Load(); v != math.MinInt64 {
		return v
	}
	return 0
}

// Avg is the average to four decimals, 0 before the first value.
func (s *Summary) Avg() float64 {
	n := s.count.Load()
	if n == 0 {
		return 0
	}
	return math.Round(float64(s.sum.Load())/float64(n)*1e4) / 1e4
}

// Advanced says whether mntr tells percentiles.
func (s *Summary) Advanced() bool { return s.advanced }

// Quantiles returns, for each q in [0, 1], the value that the share q of the observed ones does not exceed: 0 for all
// of them before the first value.
func (s *Summary) Quantiles(q ...float64) []int64 {
	out := make([]int64, len(q))
	s.hist.load().quantiles(q, out)
	lo, hi := s.Min(), s.Max()
	for i, v := range out {
		out[i] = min(max(v, lo), hi)
	}
	return out
}

// Recent returns quantiles like [Summary.Quantiles], of the values observed in the last [Window] before now, and how many
// these were.
func (s *Summary) Recent(now time.Time, q ...float64) (values []int64, n uint64) {
	values = make([]int64, len(q))
	n = s.hist.recent(now).quantiles(q, values)
	return values, n
}

// Reset implements [Metric]. What is observed meanwhile may be counted in part.
func (s *Summary) Reset() {
	s.count.Store(0)
	s.sum.Store(0)
	s.min.Store(math.MaxInt64)
	s.max.Store(math.MinInt64)
	for i := range s.hist.counts {
		s.hist.counts[i].Store(0)
	}
	s.hist.mu.Lock()
	s.hist.past = nil
	s.hist.mu.Unlock()
}

// Name implements [Metric].
func (s *Summary) Name() string { return s.name }

// Values implements [Metric].
func (s *Summary) Values(yield func(string, any)) {
	yield("avg_"+s.label, s.Avg())
	yield("min_"+s.label, s.Min())
	yield("max_"+s.label, s.Max())
	yield("cnt_"+s.label, s.Count())
	yield("sum_"+s.label, s.Sum())
	if !s.advanced {
		return
	}
	q := s.Quantiles(0.5, 0.95, 0.99, 0.999)
	yield("p50_"+s.label, q[0])
	yield("p95_"+s.label, q[1])
	yield("p99_"+s.label, q[2])
	yield("p999_"+s.label, q[3])
}

// A histogram counts values in buckets: one for each value below 16, then eight for each power of two.
type histogram struct {
	counts [buckets]atomic.Uint64

	mu   sync.Mutex
	past []moment // guarded by mu: counts at moments a step apart, oldest first, from which Recent tells the window
}

type moment struct {
	at     time.Time
	counts *tallies
}

// Window is the time that [Summary.Recent] looks back, as in ZooKeeper's Prometheus provider.
const (
	Window = 10 * time.Minute
	step   = Window / 5
)

// recent returns the counts of what was observed since a moment about a window before now. Moments are taken as somebody
// asks: if nobody did for long, the first answer reaches further back.
func (h *histogram) recent(now time.Time) *tallies {
	counts := h.load()
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.past) > 1 && now.Sub(h.past[1].at) >= Window {
		h.past = slices.Delete(h.past, 0, 1)
	}
	var since tallies
	if len(h.past) > 0 && now.Sub(h.past[0].at) >= Window {
		since = *h.past[0].counts
	}
	if len(h.past) == 0 || now.Sub(h.past[len(h.past)-1].at) >= step {
		h.past = append(h.past, moment{now, counts})
	}
	diff := *counts
	for i := range diff {
		diff[i] -= min(diff[i], since[i])
	}
	return &diff
}

const (
	subBits = 3
	maxBits = 41 // of the greatest value with a bucket of its own: 2^41 milliseconds are 70 years
	buckets = (maxBits - subBits + 1) << subBits
)

// bucket returns the bucket of v; values below zero count as zero.
func bucket(v int64) int {
	v = min(v, 1<<maxBits-1)
	if v < 1<<subBits {
		return int(max(v, 0))
	}
	shift := bits.Len64(uint64(v)) - 1 - subBits
	return shift<<subBits + int(v>>shift)
}

// middle returns a value in the middle of bucket b.
func middle(b int) int64 {
	if b < 2<<subBits {
		return int64(b)
	}
	shift := b>>subBits - 1
	low := int64(b-shift<<subBits) << shift
	return low + (int64(1)<<shift)/2
}

// tallies are a histogram's counts at one moment.
type tallies [buckets]uint64

func (h *histogram) load() *tallies {
	t := new(tallies)
	for i := range h.counts {
		t[i] = h.counts[i].Load()
	}
	return t
}

// quantiles sets out to the values of the shares q, if there are any values, and returns how many there are.
func (counts *tallies) quantiles(q []float64, out []int64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	if total == 0 {
		return 0
	}
	for i, share := range q {
		rank := max(uint64(math.Ceil(share*float64(total))), 1)
		var seen uint64
		for b, n := range counts {
			if seen += n; seen >= rank {
				out[i] = middle(b)
				break
			}
		}
	}
	return total
}
