package agenda

import (
	"math/rand/v2"
	"testing"
)

// TestOrder schedules events at few times: they come by time, and in the order in which they were scheduled.
func TestOrder(t *testing.T) {
	var a Agenda[int64]
	done := 0
	for range 200 {
		for range rand.IntN(20) {
			a.Add(rand.Int64N(50), func() { done++ })
		}
		kept := Event[int64]{At: -1}
		for n := rand.IntN(20); n > 0 && a.Due(50); n-- {
			at, _ := a.Next()
			e := a.Pop()
			if e.At != at || e.before(&kept) {
				t.Fatalf("%d, %d after %d, %d; %d was said to be next", e.At, e.Seq, kept.At, kept.Seq, at)
			}
			e.Do()
			kept = e
		}
	}
	for a.Due(50) {
		a.Pop().Do()
	}
	if _, ok := a.Next(); ok || uint64(done) != a.scheduled {
		t.Errorf("%d of %d events came", done, a.scheduled)
	}
}
