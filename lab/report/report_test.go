package report

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"zebu/lab"
)

func written(t *testing.T) string {
	t.Helper()
	runs, series := sample()
	var b bytes.Buffer
	must(t, Write(&b, runs, series, sampleCost))
	return b.String()
}

// TestWriteIsDeterministic holds the page to being a function of its input.
func TestWriteIsDeterministic(t *testing.T) {
	first := written(t)
	for range 3 {
		if written(t) != first {
			t.Fatal("the same input gave two pages")
		}
	}
}

// TestWriteEscapes puts markup into every text that comes from outside.
func TestWriteEscapes(t *testing.T) {
	runs, series := sample()
	for i := range runs {
		runs[i].Title, runs[i].About = hostile, hostile
		runs[i].Marks[0].Text = hostile
		runs[i].Violations = []string{hostile}
		runs[i].Events[0].Note = hostile
		runs[i].Commands[12].Why = hostile
		series[i].Title = hostile
		series[i].Stats[0].Title = hostile
	}
	var b bytes.Buffer
	must(t, Write(&b, runs, series, hostile))
	if strings.Contains(b.String(), "<b onmouseover") || strings.Count(b.String(), "</script>") != 1 {
		t.Error("text from outside has become markup")
	}
}

// TestWriteNeedsNoNetwork looks for addresses.
func TestWriteNeedsNoNetwork(t *testing.T) {
	page := written(t)
	if m := regexp.MustCompile(`(?i)(src|href)\s*=\s*"[^#"][^"]*"|url\(|@import|https?://`).FindString(page); m != "" {
		t.Errorf("the page refers to %s", m)
	}
}

// TestDifferences compares sentences with what the numbers say.
func TestDifferences(t *testing.T) {
	runs, series := sample()
	var got []string
	for _, d := range Differences(runs, series) {
		got = append(got, d.Text)
	}
	want := []string{
		"In the run drawn here ZAB is without a leader that can commit for 243 ms: 40.1 ms of noticing that the leader is gone, 200 ms of election, 1.2 ms of discovery and 1.8 ms of synchronisation.",
		"In the run drawn here Raft is without a leader that can commit for 155 ms: 150 ms of waiting for an election timeout, 1.7 ms of election and 3 ms of committing the term's first entry.",
		"From the fault, or the start, to a leader that can commit: 240 ms with ZAB and 160 ms with Raft (medians of 100 seeds; 99th percentiles 390 ms and 390 ms); ZAB took 1.5 times what Raft took.",
		"Entries cut from logs: 0 with ZAB and 1 with Raft (medians of 100 seeds; 99th percentiles 2 and 2).",
		"Messages between servers for each commit: 12 with ZAB and 9 with Raft (medians of 100 seeds; 99th percentiles 13 and 13); ZAB sent 1.33 times what Raft sent.",
		"Within a tenth of each other: fsyncs per commit (5).",
		"Under way when the first server went down (or, if none did, the first link) in the runs drawn here: with ZAB 1 write, of which 1 cut; with Raft 1 write, of which 1 cut.",
		"How histories were made equal in the runs drawn here: ZAB 1 × TRUNC; Raft 1 × TRUNC.",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("sentences:\n%s\nexpected:\n%s", g, w)
	}
}

// TestVerdict puts protocols that are alike together.
func TestVerdict(t *testing.T) {
	of := func(p string, median float64) value { return value{p, lab.Stat{Median: median}} }
	for _, c := range []struct {
		values []value
		want   string
	}{
		{[]value{of(lab.ZAB, 10), of(lab.Raft, 1000), of(lab.RaftPreVote, 1050)}, "; Raft and Raft with pre-vote took 100 to 105 times what ZAB took"},
		{[]value{of(lab.ZAB, 300), of(lab.Raft, 100), of(lab.RaftPreVote, 200)}, "; ZAB took 3 times what Raft took"},
		{[]value{of(lab.ZAB, 300), of(lab.Raft, 105), of(lab.RaftPreVote, 100)}, "; ZAB took 3 times what Raft with pre-vote and Raft took"},
		{[]value{of(lab.ZAB, 0), of(lab.Raft, 1)}, ""},
	} {
		if got := verdict(measureWords{more: "took"}, c.values); got != c.want {
			t.Errorf("verdict %q, expected %q", got, c.want)
		}
	}
}

// TestDifferencesNeedTwo says nothing where there is nothing to compare.
func TestDifferencesNeedTwo(t *testing.T) {
	_, series := sample()
	if ds := Differences(nil, series[:1]); len(ds) != 0 {
		t.Errorf("one protocol differs from itself: %v", ds)
	}
	if ds := Differences([]lab.Run{{Protocol: lab.ZAB}}, nil); len(ds) != 0 {
		t.Errorf("a run without events has %v", ds)
	}
}

// TestPhases takes the loss of a leader apart whose server is only cut off.
func TestPhases(t *testing.T) {
	r := lab.Run{Protocol: lab.Raft, Events: []lab.Event{
		{At: 0, Kind: lab.Role, Server: 1, Name: "leader"},
		{At: 0, Kind: lab.Serve, Server: 1, Name: "leads"},
		{At: 1000, Kind: lab.Partition, Server: 1, Peer: 2},
		{At: 5000, Kind: lab.Role, Server: 2, Name: "candidate"},
		{At: 6000, Kind: lab.Role, Server: 2, Name: "follower"},
		{At: 7000, Kind: lab.Role, Server: 3, Name: "candidate"},
		{At: 7500, Kind: lab.Role, Server: 3, Name: "leader"},
		{At: 9000, Kind: lab.Serve, Server: 3, Name: "leads"},
	}}
	got := Phases(r)
	want := []Window{{1000, 5000}, {5000, 7500}, {7500, 9000}}
	if len(got) != len(want) {
		t.Fatalf("phases %+v, expected %v", got, want)
	}
	for i, w := range want {
		if got[i].From != w.From || got[i].To != w.To {
			t.Errorf("phase %d is %+v, expected %v", i, got[i], w)
		}
	}
}

// TestPhasesBeginWithAQuorum starts servers one by one: before the third nobody could have led.
func TestPhasesBeginWithAQuorum(t *testing.T) {
	r := lab.Run{Protocol: lab.ZAB, Servers: 5, Events: []lab.Event{
		{At: 0, Kind: lab.Restart, Server: 1},
		{At: 0, Kind: lab.Role, Server: 1, Name: "looking"},
		{At: 500, Kind: lab.Restart, Server: 2},
		{At: 1000, Kind: lab.Restart, Server: 3},
		{At: 3000, Kind: lab.Role, Server: 3, Name: "leading"},
		{At: 4000, Kind: lab.Role, Server: 3, Name: "leading", Epoch: 1},
		{At: 4000, Kind: lab.Serve, Server: 3, Name: "leads"},
	}}
	got := Phases(r)
	if len(got) != 2 || got[0].Kind != elect || got[0].From != 1000 || got[0].To != 3000 || got[1].Kind != establish || got[1].To != 4000 {
		t.Errorf("phases %+v", got)
	}
}

// TestPhasesAfterTotalLoss lets all servers down and up again: nobody has a leader to miss then.
func TestPhasesAfterTotalLoss(t *testing.T) {
	r := lab.Run{Protocol: lab.Raft, Servers: 3}
	add := func(at lab.Micros, kind lab.Kind, server int, name string) {
		r.Events = append(r.Events, lab.Event{At: at, Kind: kind, Server: server, Name: name})
	}
	for s := 1; s <= 3; s++ {
		add(0, lab.Role, s, map[bool]string{true: "leader", false: "follower"}[s == 1])
	}
	add(0, lab.Serve, 1, "leads")
	for s := 1; s <= 3; s++ {
		add(1000, lab.Crash, s, "")
		add(1000, lab.Role, s, "down")
	}
	for s := 1; s <= 3; s++ {
		add(5000, lab.Restart, s, "")
		add(5000, lab.Role, s, "follower")
	}
	add(9000, lab.Role, 2, "candidate")
	add(9500, lab.Role, 2, "leader")
	add(9900, lab.Serve, 2, "leads")
	got := Phases(r)
	if len(got) != 3 || got[0].Name != waiting || got[0].From != 5000 || got[0].To != 9000 || got[2].To != 9900 {
		t.Errorf("phases %+v", got)
	}
}

func TestUnits(t *testing.T) {
	for v, want := range map[float64]string{0: "0 µs", 1: "1 µs", 999: "999 µs", 1500: "1.5 ms", 12345: "12.3 ms", 99960: "100 ms", 999_499: "999 ms", 999_600: "1 s", 12_345_678: "12.3 s", -1: absent} {
		if got := span(v); got != want {
			t.Errorf("span(%v) is %q, expected %q", v, got, want)
		}
	}
	for _, c := range []struct {
		v          float64
		unit, want string
	}{{1234, "bytes", "1234 B"}, {12345, "bytes", "12.3 kB"}, {2.5e6, "bytes", "2.5 MB"}, {812.3, "1/s", "812/s"}, {1.0 / 3, "1", "0.33"}, {100, "1", "100"}} {
		if got := quantity(c.v, c.unit); got != c.want {
			t.Errorf("quantity(%v, %s) is %q, expected %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestParagraphs(t *testing.T) {
	got := paragraphs("\nNetwork. Fast\nand fair.\n\nRound trips: two.\n\nClients wait for a while. And then.\n")
	want := []paragraph{{"Network", "Fast and fair."}, {"Round trips", "two."}, {"", "Clients wait for a while. And then."}}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("paragraphs %q, expected %q", got, want)
	}
}
