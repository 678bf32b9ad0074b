package main

import (
	"math"
	"math/bits"
	"time"
)

// subBits sets the histogram's precision: 1<<subBits buckets to each doubling, so a value is known to 1.6 %.
const subBits = 6

// buckets is enough for every int64: the values below 1<<(subBits+1) one by one, then each doubling.
const buckets = (64-subBits-1)<<subBits + 1<<(subBits+1)

// Histogram counts durations in log-linear buckets. Recording allocates nothing and takes a few nanoseconds. The zero
// value is ready for use; it is not safe for concurrent use.
type Histogram struct {
	counts [buckets]uint64
	n      uint64
	max    uint64
}

func bucketOf(v uint64) int {
	shift := bits.Len64(v>>subBits) - 1
	if shift <= 0 {
		return int(v)
	}
	return shift<<subBits + int(v>>shift)
}

// bucketTop returns the largest value that bucketOf puts into bucket i.
func bucketTop(i int) uint64 {
	if i < 1<<(subBits+1) {
		return uint64(i)
	}
	shift := i>>subBits - 1
	return uint64(i-shift<<subBits+1)<<shift - 1
}

// Record counts d; a negative d counts as 0.
func (h *Histogram) Record(d time.Duration) {
	v := uint64(max(d, 0))
	h.counts[bucketOf(v)]++
	h.n++
	h.max = max(h.max, v)
}

// Merge adds o's counts to h.
func (h *Histogram) Merge(o *Histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Max returns the longest duration recorded, exactly.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Quantile returns the duration that a fraction q of those recorded did not exceed, rounded up by at most 1.6 %; 0 if
// nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.n)))
	var seen uint64
	for i, c := range h.counts {
		if seen += c; c > 0 && seen >= rank {
			return time.Duration(min(bucketTop(i), h.max))
		}
	}
	return 0
}
