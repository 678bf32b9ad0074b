package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketsCoverEveryValue(t *testing.T) {
	last := -1
	for _, v := range []uint64{0, 1, 63, 64, 127, 128, 129, 130, 255, 256, 1 << 20, 1<<20 + 1<<14, 1<<62 - 1, 1<<63 - 1} {
		i := bucketOf(v)
		if i < last || i >= buckets {
			t.Fatalf("value %d: bucket %d after %d, of %d", v, i, last, buckets)
		}
		last = i
		top := bucketTop(i)
		if top < v || float64(top-v) > float64(v)/(1<<subBits) {
			t.Errorf("value %d: bucket %d ends at %d", v, i, top)
		}
		if bucketOf(top) != i || bucketOf(top+1) == i {
			t.Errorf("bucket %d does not end at %d", i, top)
		}
	}
}

func TestHistogramQuantilesAgreeWithSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var whole, half Histogram
	var all []time.Duration
	for i := range 10_000 {
		d := time.Duration(rng.ExpFloat64() * float64(time.Millisecond))
		all = append(all, d)
		if i%2 == 0 {
			whole.Record(d)
		} else {
			half.Record(d)
		}
	}
	whole.Merge(&half)
	slices.Sort(all)
	for _, q := range []float64{.001, .5, .9, .99, .999, 1} {
		want := all[max(0, int(q*float64(len(all)))-1)]
		if got := whole.Quantile(q); got < want || float64(got-want) > float64(want)/(1<<subBits) {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	if whole.Max() != all[len(all)-1] || whole.Count() != 10_000 {
		t.Errorf("max %v count %d, want %v 10000", whole.Max(), whole.Count(), all[len(all)-1])
	}
}

func TestHistogramOfNothing(t *testing.T) {
	var h Histogram
	if h.Quantile(.99) != 0 || h.Max() != 0 {
		t.Errorf("p99 %v max %v of nothing", h.Quantile(.99), h.Max())
	}
	h.Record(-time.Second)
	if h.Quantile(1) != 0 || h.Count() != 1 {
		t.Errorf("a negative duration: %v, count %d", h.Quantile(1), h.Count())
	}
}
