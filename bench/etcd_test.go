package main

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMiddle(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 9, 2}, 3}} {
		given := slices.Clone(c.of)
		if got := middle(c.of); got != c.want || !slices.Equal(c.of, given) {
			t.Errorf("middle of %v is %v, want %v; then they are %v", given, got, c.want, c.of)
		}
	}
	if got := middle(nil); !math.IsNaN(got) {
		t.Errorf("middle of nothing is %v", got)
	}
}

func TestTurn(t *testing.T) {
	if a, b := turn(etcdSystems, 2), turn(etcdSystems, 3); a[0] != "zebu" || b[0] != "etcd" || etcdSystems[0] != "zebu" {
		t.Errorf("turns begin with %s and %s, then the systems with %s", a[0], b[0], etcdSystems[0])
	}
}

func TestSequentialKeysAreInOrder(t *testing.T) {
	for n := range int64(1000) {
		if a, b := sequentialKey(n), sequentialKey(n+1); len(a) != keySize || a >= b {
			t.Fatalf("key %d is %q, the next %q", n, a, b)
		}
	}
}

// TestEtcdReport makes a report of what a load gave twice, and of a value.
func TestEtcdReport(t *testing.T) {
	b := &etcdBench{size: etcdFull, loads: map[teamID]map[string][]*Result{}, values: map[teamID]map[string][]float64{}, progress: new(strings.Builder), dir: "/"}
	result := func(ops int64) *Result {
		r := &Result{Ops: ops, Elapsed: time.Second}
		r.Latency.Record(time.Millisecond)
		return r
	}
	zebu, etcd := teamID{"zebu", 1}, teamID{"etcd", 1}
	b.loads[zebu] = map[string][]*Result{"put, 100 clients": {result(20), result(40)}}
	b.loads[etcd] = map[string][]*Result{"put, 100 clients": {result(10), result(14)}}
	b.set(zebu, "fill.memory", 200)
	b.set(etcd, "fill.memory", 100)
	for i := range 3 {
		b.set(idleOn, "idle.rate", 98+float64(i))
		b.set(idleOff, "idle.rate", 100)
	}
	text := b.report([]int{1})
	for _, want := range []string{
		"| put, 100 clients (/s) | 30 | 12 | 2.5 | >= 1.5 x | yes |\n",
		"| 1,000,000 revisions of 256 bytes: resident (MB) | 200 | 100 | 2 | <= 1 x | **no** |\n",
		"| set, throughput (/s) | 99 | 100 | 0.990 | >= 0.97 x | yes |\n",
		notesMark + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "watch latency") {
		t.Errorf("what was not measured is in\n%s", text)
	}
}
