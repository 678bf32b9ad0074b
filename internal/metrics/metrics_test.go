package metrics

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func lines(m Metric) string {
	var b strings.Builder
	m.Values(func(name string, v any) { fmt.Fprintf(&b, "%s=%v\n", name, v) })
	return b.String()
}

func TestSummaryLines(t *testing.T) {
	s := newSummary("readlatency", true)
	if got, want := lines(s), "avg_readlatency=0\nmin_readlatency=0\nmax_readlatency=0\ncnt_readlatency=0\nsum_readlatency=0\n"+
		"p50_readlatency=0\np95_readlatency=0\np99_readlatency=0\np999_readlatency=0\n"; got != want {
		t.Errorf("empty:\n%s", got)
	}
	for v := range int64(3) {
		s.Observe(v*v + 1) // 1, 2, 5
	}
	if got, want := lines(s), "avg_readlatency=2.6667\nmin_readlatency=1\nmax_readlatency=5\ncnt_readlatency=3\nsum_readlatency=8\n"+
		"p50_readlatency=2\np95_readlatency=5\np99_readlatency=5\np999_readlatency=5\n"; got != want {
		t.Errorf("three values:\n%s", got)
	}
}

func TestQuantilesWithinAnEighth(t *testing.T) {
	s := newSummary("x", true)
	for v := int64(1); v <= 100_000; v++ {
		s.Observe(v)
	}
	for i, q := range s.Quantiles(0.5, 0.95, 0.99, 0.999, 1) {
		want := []float64{50_000, 95_000, 99_000, 99_900, 100_000}[i]
		if math.Abs(float64(q)-want) > want/8 {
			t.Errorf("quantile %d: %d, want about %v", i, q, want)
		}
	}
}

func TestRecentForgets(t *testing.T) {
	s := newSummary("x", true)
	now := time.Unix(1e9, 0)
	look := func(want int64, wantN uint64) {
		t.Helper()
		if q, n := s.Recent(now, 0.5); q[0] != want || n != wantN {
			t.Errorf("after %v: median %d of %d, want %d of %d", now.Sub(time.Unix(1e9, 0)), q[0], n, want, wantN)
		}
	}
	look(0, 0)
	s.Observe(1)
	look(1, 1)
	for range 5 {
		now = now.Add(step)
		s.Observe(5)
		s.Observe(5)
		s.Recent(now)
	}
	look(5, 11)
	now = now.Add(3 * step)
	look(5, 4) // those of the last two steps that had any
	now = now.Add(2 * Window)
	look(0, 0)
	s.Observe(7)
	look(7, 1)
	s.Reset()
	look(0, 0)
}

func TestBucketsCoverEveryValue(t *testing.T) {
	if bucket(math.MaxInt64) != buckets-1 {
		t.Errorf("bucket of the greatest value is %d of %d", bucket(math.MaxInt64), buckets)
	}
	last := -1
	for _, v := range []int64{math.MinInt64, -1, 0, 1, 7, 8, 15, 16, 17, 18, 31, 32, 1000, 1 << 40, 1<<maxBits - 1} {
		b := bucket(v)
		if b < last || b >= buckets {
			t.Fatalf("bucket(%d) = %d after %d of %d", v, b, last, buckets)
		}
		last = b
		if m := middle(b); v >= 0 && math.Abs(float64(m)-float64(v)) > float64(v)/8 {
			t.Errorf("middle(bucket(%d)) = %d", v, m)
		}
	}
}

func TestSetsPutTheKeyFirst(t *testing.T) {
	s := New()
	s.ReadPerNamespace.Observe("b", 3)
	key := []byte("a")
	s.ReadPerNamespace.Observe(string(key), 1)
	got := lines(s.ReadPerNamespace)
	want := "avg_a_read_per_namespace=1\nmin_a_read_per_namespace=1\nmax_a_read_per_namespace=1\ncnt_a_read_per_namespace=1\nsum_a_read_per_namespace=1\n" +
		"avg_b_read_per_namespace=3\nmin_b_read_per_namespace=3\nmax_b_read_per_namespace=3\ncnt_b_read_per_namespace=1\nsum_b_read_per_namespace=3\n"
	if got != want {
		t.Errorf("got\n%s", got)
	}
	s.QuotaExceededErrorPerNamespace.Add("q", 2)
	if got := lines(s.QuotaExceededErrorPerNamespace); got != "q_quota_exceeded_error_per_namespace=2\n" {
		t.Errorf("got %s", got)
	}
}

func TestSetIsBounded(t *testing.T) {
	var s CounterSet
	for i := range 2 * MaxKeys {
		s.Add(fmt.Sprint(i), 1)
	}
	keys, sum := 0, int64(0)
	s.Each(func(_ string, c *Counter) { keys++; sum += c.Count() })
	if keys != MaxKeys+1 || sum != 2*MaxKeys {
		t.Errorf("%d keys, sum %d", keys, sum)
	}
}

func TestServerRegistersEveryField(t *testing.T) {
	s := New()
	v := reflect.ValueOf(s).Elem()
	names := map[string]bool{}
	for i := 1; i < v.NumField(); i++ {
		if v.Field(i).IsNil() {
			t.Errorf("%s is nil", v.Type().Field(i).Name)
		}
		names[v.Field(i).Interface().(Metric).Name()] = true
	}
	if n := len(s.Registry.All()); n != 122+5 || len(names) != n {
		t.Errorf("%d metrics under %d names, ZooKeeper 3.9 has 122, zebu 5 more", n, len(names))
	}
	s.Registry.Gauge("g", func() int64 { return 7 })
	found := any(nil)
	s.Registry.Values(func(name string, v any) {
		if name == "g" {
			found = v
		}
	})
	if found != int64(7) {
		t.Errorf("gauge %v", found)
	}
	s.CommitCount.Inc()
	s.ReadLatency.Observe(5)
	s.ReadPerNamespace.Observe("a", 5)
	s.Registry.Reset()
	s.Registry.Values(func(name string, v any) {
		if name != "g" && v != int64(0) && v != float64(0) {
			t.Errorf("%s is %v after Reset", name, v)
		}
	})
}

func TestConcurrentObservationsAddUp(t *testing.T) {
	s := New()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				s.ReadLatency.Observe(int64(i))
				s.ReadPerNamespace.Observe(fmt.Sprint((g+i)%10), 1)
			}
		})
	}
	wg.Wait()
	if s.ReadLatency.Count() != 8000 || s.ReadLatency.Sum() != 8*999*500 || s.ReadLatency.Min() != 0 || s.ReadLatency.Max() != 999 {
		t.Errorf("%s", lines(s.ReadLatency))
	}
	total := int64(0)
	s.ReadPerNamespace.Each(func(_ string, m *Summary) { total += m.Count() })
	if total != 8000 {
		t.Errorf("set counted %d", total)
	}
}

func BenchmarkObserve(b *testing.B) {
	s := New().ReadLatency
	for i := range b.N {
		s.Observe(int64(i & 7))
	}
}

func BenchmarkObserveParallel(b *testing.B) {
	s := New().ReadLatency
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Observe(3)
		}
	})
}

func BenchmarkSetObserve(b *testing.B) {
	s := New().ReadPerNamespace
	for i := range b.N {
		s.Observe("app", int64(i&7))
	}
}
