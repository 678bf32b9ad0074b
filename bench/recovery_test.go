package main

import (
	"strings"
	"testing"
	"time"
)

func TestRecoveryReport(t *testing.T) {
	for _, tt := range []struct {
		zebu time.Duration
		want string
	}{
		{499 * time.Millisecond, "Ratio of the medians: 0.499; target <= 0.5: met."},
		{time.Second, "Ratio of the medians: 1; target <= 0.5: **not met**."},
	} {
		r := &recovery{dir: t.TempDir(), teams: []*survivors{
			{maker: &contestant{name: "zebu"}, gaps: []time.Duration{time.Minute, tt.zebu, time.Millisecond}},
			{maker: &contestant{name: "apache", version: "3.9.5"}, gaps: []time.Duration{time.Second, 2 * time.Second, time.Millisecond}},
		}}
		text := r.report()
		if !strings.Contains(text, tt.want) || !strings.Contains(text, "| Apache ZooKeeper 3.9.5 | 1,000 | 1 | 2,000 |") {
			t.Errorf("report:\n%s\nexpected %q", text, tt.want)
		}
	}
}
