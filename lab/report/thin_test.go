package report

import (
	"slices"
	"testing"

	"zebu/lab"
)

// busy is a run with a message every 100 µs, and a crash in its middle.
func busy() lab.Run {
	m := &maker{run: lab.Run{Protocol: lab.Raft, Servers: 3, Duration: lab.Second}}
	for at := lab.Micros(0); at < m.run.Duration-lab.Millisecond; at += 100 {
		m.send(at, 1, 2, "MsgApp", 1, int64(at), 500)
		m.add(lab.Event{At: at + 50, Kind: lab.Commit, Server: 2, Epoch: 1, Index: int64(at)})
	}
	m.add(lab.Event{At: 500 * lab.Millisecond, Kind: lab.Crash, Server: 3, Index: -1})
	slices.SortStableFunc(m.run.Events, func(a, b lab.Event) int { return int(a.At - b.At) })
	return m.run
}

// TestThin leaves out of a long run what is far from all that matters.
func TestThin(t *testing.T) {
	r := busy()
	thinned, gaps := thin(r, nil, 3000)
	if n := len(thinned.Events); n > 3200 || n < 1500 {
		t.Errorf("%d of %d events are left", n, len(r.Events))
	}
	var crashed bool
	ends := map[int64]int{}
	last := lab.Event{}
	for _, e := range thinned.Events {
		if e.At < last.At {
			t.Fatalf("%+v comes after %+v", e, last)
		}
		last = e
		crashed = crashed || e.Kind == lab.Crash
		if e.Msg != 0 {
			ends[e.Msg]++
		}
	}
	if !crashed {
		t.Error("the crash is left out")
	}
	for msg, n := range ends {
		if n != 2 {
			t.Fatalf("message %d has %d ends", msg, n)
		}
	}
	if len(gaps) != 2 || gaps[0].To > 500*lab.Millisecond || gaps[1].From < 500*lab.Millisecond || gaps[1].To != r.Duration {
		t.Errorf("gaps %v", gaps)
	}
	// The newest commit before the second part is known in it.
	i := slices.IndexFunc(thinned.Events, func(e lab.Event) bool { return e.At >= gaps[0].To })
	if before := thinned.Events[i-1]; before.Kind != lab.Commit || before.At < gaps[0].To-300 {
		t.Errorf("before the crash's part comes %+v", before)
	}
	if same, none := thin(r, nil, len(r.Events)); len(same.Events) != len(r.Events) || none != nil {
		t.Error("a run that is short enough is thinned")
	}
}

// TestThinSkipped takes messages apart of which only one end was recorded.
func TestThinSkipped(t *testing.T) {
	r := busy()
	r.SkipFrom, r.SkipUntil = 300*lab.Millisecond, 400*lab.Millisecond
	r.Events = slices.DeleteFunc(r.Events, func(e lab.Event) bool { return e.At >= r.SkipFrom && e.At < r.SkipUntil })
	thinned, gaps := thin(r, nil, 1<<20)
	if !slices.Equal(gaps, []Window{{r.SkipFrom, r.SkipUntil}}) {
		t.Errorf("gaps %v", gaps)
	}
	ends := map[int64]int{}
	for _, e := range thinned.Events {
		if e.Msg != 0 {
			ends[e.Msg]++
		}
	}
	for msg, n := range ends {
		if n != 2 {
			t.Errorf("message %d has %d ends", msg, n)
		}
	}
}

func TestSteps(t *testing.T) {
	got := Steps([]lab.Mark{
		{At: 1, Text: "at 500ms~100ms call leader old: server 5"},
		{At: 2, Text: "at 510ms cut old > others: server 5 from servers 1, 2 and 3"},
		{At: 3, Text: "at 1s disk leader x20: server 1"},
		{At: 4, Text: "at 500ms on propose power old: server 2"},
		{At: 5, Text: "heal"},
		{At: 6, Text: "cut server 1 > server 2"},
	})
	want := []lab.Mark{{At: 2, Text: "cut S5 from S1 S2 S3"}, {At: 3, Text: "disk S1 x20"}, {At: 4, Text: "power S2"}, {At: 5, Text: "heal"}, {At: 6, Text: "cut S1 > S2"}}
	if !slices.Equal(got, want) {
		t.Errorf("steps %v, expected %v", got, want)
	}
}
