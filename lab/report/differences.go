package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"zebu/lab"
)

// Difference is a sentence about what sets the protocols apart in a scenario, made of numbers that were measured.
type Difference struct {
	Text string
	// Drawn says that it is about the runs that are drawn, and not about many seeds.
	Drawn bool
	// Show is the part of the drawn runs in which it can be seen; zero if there is none.
	Show Window
}

// Window is a span of a run's time.
type Window struct {
	From lab.Micros `json:"from"`
	To   lab.Micros `json:"to"`
}

// measureWords are how sentences speak of a measure.
type measureWords struct {
	lead string // what was measured
	more string // what more of it is: "took", "needed", "did"
	good bool   // more is better
	less string // what explains it if ZAB has least; said only then
}

// words of the measures that get a sentence, and which go first.
var words = []struct {
	name string
	measureWords
}{
	{"timeToLeader", measureWords{lead: "From the fault, or the start, to a leader that can commit", more: "took"}},
	{"unavailable", measureWords{lead: "The longest time in which clients waited and no write was answered", more: "took"}},
	{"elections", measureWords{lead: "Elections begun", more: "needed"}},
	{"leaders", measureWords{lead: "Leaders one after the other", more: "had"}},
	{"cut", measureWords{lead: "Entries cut from logs", more: "had"}},
	{"staleReads", measureWords{lead: "Reads that missed a write which had been acknowledged before they began", more: "had"}},
	{"commitLatency.p50", measureWords{lead: "From a leader's proposal to its commit", more: "took"}},
	{"roundTrips", measureWords{lead: "Commit latency without the disk, in round trips", more: "took"}},
	{"ackLatency.p50", measureWords{lead: "From a client's write to its answer, in the median", more: "took"}},
	{"ackLatency.p99", measureWords{lead: "From a client's write to its answer, in the slowest hundredth", more: "took"}},
	{"readLatency.p50", measureWords{lead: "From a client's read to its answer, in the median", more: "took"}},
	{"messagesPerCommit", measureWords{lead: "Messages between servers for each commit", more: "sent",
		less: "this Raft tells its followers of a commit by an append, which they answer; ZAB's COMMITs are not answered"}},
	{"bytesPerCommit", measureWords{lead: "Bytes between servers for each commit", more: "sent"}},
	{"fsyncsPerCommit", measureWords{lead: "Syncs of disks for each commit", more: "needed"}},
	{"throughput", measureWords{lead: "Writes answered a second", more: "did", good: true}},
}

// value is one protocol's.
type value struct {
	protocol string
	stat     lab.Stat
}

// Differences are the sentences of one scenario: from the series, which hold many seeds, and from the runs that are drawn.
func Differences(runs []lab.Run, series []lab.Series) []Difference {
	var ds []Difference
	ds = append(ds, phaseSentences(runs)...)
	var alike []string
	for _, w := range words {
		values, title := valuesOf(series, w.name)
		if len(values) < 2 || !slices.ContainsFunc(values, func(v value) bool { return v.stat.Max > 0 }) {
			continue
		}
		if same(values) {
			alike = append(alike, strings.ToLower(title)+" ("+quantity(values[0].stat.Median, values[0].stat.Unit)+")")
			continue
		}
		if reads, _ := valuesOf(series, "reads"); slices.ContainsFunc(reads, func(v value) bool { return v.stat.Max > 0 }) {
			w.less = "" // messages that confirm reads count, too
		}
		ds = append(ds, Difference{Text: compare(w.measureWords, values)})
	}
	if len(alike) > 0 {
		ds = append(ds, Difference{Text: "Within a tenth of each other: " + list(alike) + "."})
	}
	ds = append(ds, fateSentence(runs)...)
	return append(ds, syncSentence(runs)...)
}

// valuesOf are what the protocols have of a measure, those left out in which it never happened.
func valuesOf(series []lab.Series, name string) (values []value, title string) {
	for _, s := range series {
		for _, st := range s.Stats {
			if st.Name == name && st.N > 0 && st.Median >= 0 {
				values = append(values, value{s.Protocol, st})
				title = st.Title
			}
		}
	}
	return values, title
}

// same tells whether medians are within a tenth of each other.
func same(values []value) bool {
	least, most := values[0].stat.Median, values[0].stat.Median
	for _, v := range values {
		least, most = min(least, v.stat.Median), max(most, v.stat.Median)
	}
	return most-least <= 0.1*most
}

// compare is the sentence about one measure.
func compare(w measureWords, values []value) string {
	var medians, tails []string
	seeds := values[0].stat.N
	for _, v := range values {
		medians = append(medians, quantity(v.stat.Median, v.stat.Unit)+" with "+protocolName(v.protocol))
		tails = append(tails, quantity(v.stat.P99, v.stat.Unit))
		seeds = min(seeds, v.stat.N)
	}
	text := w.lead + ": " + list(medians)
	if seeds > 1 {
		text += fmt.Sprintf(" (medians of %d seeds; 99th percentiles %s)", seeds, list(tails))
	}
	text += verdict(w, values) + "."
	if first := ordered(values)[0]; w.less != "" && first.protocol == lab.ZAB {
		text += " Why: " + w.less + "."
	}
	return text
}

// ordered are values from the least to the greatest.
func ordered(values []value) []value {
	ordered := slices.Clone(values)
	slices.SortStableFunc(ordered, func(a, b value) int { return cmp.Compare(a.stat.Median, b.stat.Median) })
	return ordered
}

// verdict compares those that have most with those that have least; what is within a tenth of each other goes together.
func verdict(w measureWords, values []value) string {
	all := ordered(values)
	if all[0].stat.Median == 0 {
		return ""
	}
	var least, most []string
	base, top := all[0].stat.Median, all[len(all)-1].stat.Median
	from := top
	for _, v := range all {
		switch {
		case v.stat.Median <= 1.1*base:
			least = append(least, protocolName(v.protocol))
		case v.stat.Median >= top/1.1:
			most = append(most, protocolName(v.protocol))
			from = min(from, v.stat.Median)
		}
	}
	times := number(top / base)
	if low := number(from / base); low != times {
		times = low + " to " + times
	}
	return fmt.Sprintf("; %s %s %s times what %s %s", list(most), w.more, times, list(least), w.more)
}

// phaseSentences tell, for each protocol, how the last loss of a leader that is drawn went.
func phaseSentences(runs []lab.Run) []Difference {
	var ds []Difference
	for _, r := range runs {
		all := Phases(r)
		last := len(all)
		for i := len(all) - 1; i >= 0 && (i == len(all)-1 || all[i].To == all[i+1].From); i-- {
			last = i
		}
		var parts []string
		for _, p := range all[last:] {
			parts = append(parts, span(float64(p.To-p.From))+" of "+phaseNoun(p, r.Protocol))
		}
		if len(parts) == 0 {
			continue
		}
		from, to := all[last].From, all[len(all)-1].To
		ds = append(ds, Difference{
			Drawn: true,
			Text:  fmt.Sprintf("In the run drawn here %s is without a leader that can commit for %s: %s.", protocolName(r.Protocol), span(float64(to-from)), list(parts)),
			Show:  around(from, to, r.Duration),
		})
	}
	return ds
}

// phaseNoun names a phase in a sentence.
func phaseNoun(p Phase, protocol string) string {
	raft := raftLike(protocol)
	switch {
	case p.Kind == detect && raft:
		return "waiting for an election timeout"
	case p.Kind == detect && p.Name == waiting:
		return "waiting"
	case p.Kind == detect:
		return "noticing that the leader is gone"
	case p.Kind == elect:
		return "election"
	case p.Kind == discover:
		return "discovery"
	case raft:
		return "committing the term's first entry"
	default:
		return "synchronisation"
	}
}

// around is a window with a margin of a tenth on both sides.
func around(from, to, duration lab.Micros) Window {
	margin := max((to-from)/10, 1*lab.Millisecond)
	return Window{From: max(0, from-margin), To: min(duration, to+margin)}
}

// fateSentence tells what became of writes that were under way when a server crashed or was cut off.
func fateSentence(runs []lab.Run) []Difference {
	var parts []string
	for _, r := range runs {
		inFlight := InFlight(r)
		if len(inFlight) == 0 {
			continue
		}
		fates := map[lab.Fate]int{}
		for _, c := range inFlight {
			fates[c.Fate]++
		}
		var outcomes []string
		for _, f := range []struct {
			fate lab.Fate
			verb string
		}{{lab.Committed, "kept"}, {lab.CutOff, "cut"}, {lab.Never, "never logged"}, {lab.Pending, "undecided when the run ends"}} {
			if n := fates[f.fate]; n > 0 {
				outcomes = append(outcomes, fmt.Sprintf("%d %s", n, f.verb))
			}
		}
		parts = append(parts, fmt.Sprintf("with %s %s, of which %s", protocolName(r.Protocol), count(len(inFlight), "write", "writes"), list(outcomes)))
	}
	if len(parts) == 0 {
		return nil
	}
	return []Difference{{Drawn: true, Text: "Under way when the first server went down (or, if none did, the first link) in the runs drawn here: " + strings.Join(parts, "; ") + "."}}
}

// InFlight are the writes of a run that were sent and neither answered nor given up when the first server crashed or, if none did, the first
// link was cut.
func InFlight(r lab.Run) []lab.Command {
	first := slices.IndexFunc(r.Events, func(e lab.Event) bool { return e.Kind == lab.Crash })
	if first < 0 {
		first = slices.IndexFunc(r.Events, func(e lab.Event) bool { return e.Kind == lab.Partition })
	}
	if first < 0 {
		return nil
	}
	at := r.Events[first].At
	var writes []lab.Command
	for _, c := range r.Commands {
		if c.Op == "write" && c.Sent <= at && (c.Done == 0 || c.Done > at) {
			writes = append(writes, c)
		}
	}
	return writes
}

// syncSentence tells how learners were brought up to date in the drawn runs, if any were.
func syncSentence(runs []lab.Run) []Difference {
	var parts []string
	for _, r := range runs {
		m, ways := r.Measures, []string{}
		for _, w := range []struct {
			n    int
			what string
		}{{m.Diffs, "DIFF"}, {m.Truncs, "TRUNC"}, {m.Snaps, "snapshot"}, {m.Probes, "rejected append"}} {
			if w.n > 0 {
				ways = append(ways, fmt.Sprintf("%d × %s", w.n, w.what))
			}
		}
		if len(ways) > 0 {
			parts = append(parts, protocolName(r.Protocol)+" "+list(ways))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return []Difference{{Drawn: true, Text: "How histories were made equal in the runs drawn here: " + strings.Join(parts, "; ") + "."}}
}
