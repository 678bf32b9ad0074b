package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		bound        bound
		limit        float64
		zebu, apache float64
		met          string
	}{
		{atMost, 2, 2, nan, "yes"},
		{atMost, 2, 2.1, 1, "**no**"},
		{atMost, 2, nan, 1, ""},
		{ratioAtLeast, 4, 400, 100, "yes"},
		{ratioAtLeast, 4, 399, 100, "**no**"},
		{ratioAtMost, .25, 1, 4, "yes"},
		{ratioAtMost, .25, 1, nan, ""},
		{none, 0, 1, 1, ""},
	} {
		r := row{bound: c.bound, limit: c.limit}
		if _, met := r.judge(c.zebu, c.apache); met != c.met {
			t.Errorf("%+v: met %q", c, met)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0.25: "0.25", 18.84: "18.8", 345.6: "346", 1234567: "1,234,567", math.NaN(): "–", math.Inf(1): "–"} {
		if got := number(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func TestReportKeepsNotes(t *testing.T) {
	c := &comparison{size: quickSize, loads: map[string]map[string]*Result{
		"zebu":   {"get": {Ops: 1000, Elapsed: time.Second, ServerCPU: time.Millisecond}},
		"apache": {"get": {Ops: 100, Elapsed: time.Second, ServerCPU: time.Millisecond}},
	}}
	text := c.report()
	if want := "| get, throughput (/s) | 1,000 | 100 | 10 | >= 4 x | yes |\n"; !strings.Contains(text, want) {
		t.Errorf("no %q in\n%s", want, text)
	}
	const notes = "\nThe profile shows nothing.\n"
	if got := keptNotes(text + notes); got != notes {
		t.Errorf("kept %q", got)
	}
	if got := keptNotes(""); got != "" {
		t.Errorf("kept %q of nothing", got)
	}
}
