package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"zebu/lab"
)

//go:embed assets
var files embed.FS

// scripts are the files of assets that draw diagrams, in the order in which they build on each other.
var scripts = []string{"base.js", "glossary.js", "unpack.js", "trace.js", "words.js", "palette.js", "axis.js", "marks.js", "painter.js", "filters.js", "state.js", "diagram.js", "legend.js"}

// Assets returns the styles and the scripts of the diagrams, for pages that show some; the scripts define the object lab and touch nothing
// of a page by themselves.
func Assets() (css, js string, err error) {
	css, err = read("page.css")
	if err != nil {
		return "", "", err
	}
	for _, name := range scripts {
		text, err := read(name)
		if err != nil {
			return "", "", err
		}
		js += text
	}
	return css, js, nil
}

func read(name string) (string, error) {
	raw, err := files.ReadFile("assets/" + name)
	if err != nil {
		return "", fmt.Errorf("the page's parts: %w", err)
	}
	return string(raw), nil
}

// Write makes the page of runs, which are drawn, and series, which fill the tables. Runs and series of one scenario belong together and
// stay in their order. cost says in words what the simulation takes time for: paragraphs, between empty lines.
func Write(w io.Writer, runs []lab.Run, series []lab.Series, cost string) error {
	css, js, err := Assets()
	if err != nil {
		return err
	}
	start, err := read("main.js")
	if err != nil {
		return err
	}
	text, err := read("page.html")
	if err != nil {
		return err
	}
	t, err := template.New("page").Funcs(functions).Parse(text)
	if err != nil {
		return fmt.Errorf("the page's template: %w", err)
	}
	p := page{CSS: template.CSS(css), JS: template.JS(js + start), Cost: paragraphs(cost)}
	for _, name := range scenarios(runs, series) {
		s, err := newScenario(name, runs, series)
		if err != nil {
			return err
		}
		p.Scenarios = append(p.Scenarios, s)
	}
	p.Headline, p.Overview = overview(p.Scenarios, series)
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// functions are what the template may call.
var functions = template.FuncMap{
	"protocol": protocolName,
	"span":     func(m lab.Micros) string { return span(float64(m)) },
	"logged": func(protocol string, c lab.Command) string {
		switch {
		case c.Fate == lab.Never || c.Index < 0:
			return absent
		case raftLike(protocol):
			return fmt.Sprintf("entry %d of term %d", c.Index, c.Epoch)
		default:
			return fmt.Sprintf("zxid %d:%d", c.Epoch, c.Index)
		}
	},
	"fate": func(f lab.Fate) string {
		return map[lab.Fate]string{lab.Committed: "kept", lab.CutOff: "cut", lab.Never: "never logged", lab.Pending: "undecided"}[f]
	},
	"answer": func(c lab.Command) string {
		switch {
		case c.Done == 0:
			return "still waits at the end"
		case !c.OK:
			return "gave up after " + span(float64(c.Done-c.Sent))
		case c.Tries > 1:
			return fmt.Sprintf("was answered after %s, %d tries", span(float64(c.Done-c.Sent)), c.Tries)
		default:
			return "was answered after " + span(float64(c.Done-c.Sent))
		}
	},
}

// page is what the template is filled with.
type page struct {
	CSS       template.CSS
	JS        template.JS
	Cost      []paragraph
	Headline  []string // titles of the overview's columns
	Overview  []overviewRow
	Scenarios []scenario
}

// scenario is one section of the page.
type scenario struct {
	Name, Title, About string
	Seeds              int
	Servers            int
	Columns            []string     // the protocols of the table
	Seen, Measured     []Difference // in the runs drawn; over many seeds
	Table              []row
	Zero               []string // titles of measures that are 0 everywhere
	Fates              []fateTable
	Reads              []readRow
	Violations         []string
	Runs               []drawn
	Thinned            bool // some of the runs' routine is left out
	// Data is what assets/unpack.js reads: the runs, packed.
	Data template.HTML
}

// drawn is a run that has a panel, and how many of its events that has.
type drawn struct {
	lab.Run
	Kept int
}

// hidden tells whether a run's panel is folded up at first: that of Raft with pre-vote, where that makes no difference to Raft without.
func hidden(r lab.Run, runs []lab.Run, series []lab.Series) bool {
	if r.Protocol != lab.RaftPreVote || !slices.ContainsFunc(runs, func(o lab.Run) bool { return o.Protocol == lab.Raft }) {
		return false
	}
	for _, name := range []string{"elections", "leaders", "staleReads", "cut"} {
		var plain, asking lab.Stat
		for _, v := range first(valuesOf(series, name)) {
			switch v.protocol {
			case lab.Raft:
				plain = v.stat
			case lab.RaftPreVote:
				asking = v.stat
			}
		}
		if plain.Median != asking.Median {
			return false
		}
	}
	return true
}

func first[A, B any](a A, _ B) A { return a }

// row is a measure in a scenario's table.
type row struct {
	Title string
	Cells []cell // of the protocols, in their order
}

// cell is one protocol's values of a measure.
type cell struct {
	Absent                bool
	Median, P99, Min, Max string
	N                     int
	// Bar and Tail are the median and the 99th percentile in percent of the row's greatest value.
	Bar, Tail int

	median, tail float64
}

// fateTable lists what became of the writes that were under way at the first fault.
type fateTable struct {
	Protocol string
	Writes   []lab.Command
}

// readRow is how reads of one strategy went in a drawn run.
type readRow struct {
	Protocol, Op         string
	Reads, Stale, Failed int
	Median, Worst        string
}

// scenarios are the names in the order of their first appearance.
func scenarios(runs []lab.Run, series []lab.Series) []string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, r := range runs {
		add(r.Scenario)
	}
	for _, s := range series {
		add(s.Scenario)
	}
	return names
}

func newScenario(name string, runs []lab.Run, series []lab.Series) (scenario, error) {
	runs = slices.DeleteFunc(slices.Clone(runs), func(r lab.Run) bool { return r.Scenario != name })
	series = slices.DeleteFunc(slices.Clone(series), func(s lab.Series) bool { return s.Scenario != name })
	s := scenario{Name: name, Title: name}
	for _, d := range Differences(runs, series) {
		if d.Drawn {
			s.Seen = append(s.Seen, d)
		} else {
			s.Measured = append(s.Measured, d)
		}
	}
	for _, one := range series {
		s.Title, s.Servers, s.Seeds = one.Title, one.Servers, max(s.Seeds, one.Seeds)
		s.Columns = append(s.Columns, one.Protocol)
		if one.Violations > 0 {
			s.Violations = append(s.Violations, fmt.Sprintf("%s: %s over all seeds", protocolName(one.Protocol), count(one.Violations, "violation", "violations")))
		}
	}
	var packed []packedRun
	for _, r := range runs {
		s.Title, s.About, s.Servers = r.Title, r.About, r.Servers
		for _, v := range r.Violations {
			s.Violations = append(s.Violations, protocolName(r.Protocol)+": "+v)
		}
		if writes := InFlight(r); len(writes) > 0 {
			s.Fates = append(s.Fates, fateTable{r.Protocol, writes})
		}
		s.Reads = append(s.Reads, readRows(r)...)
		if len(r.Events) > 0 {
			one := pack(r)
			one.Hidden = hidden(r, runs, series)
			packed = append(packed, one)
			s.Thinned = s.Thinned || len(one.Gaps) > 0
			s.Runs = append(s.Runs, drawn{r, len(one.Columns[colKind])})
		}
	}
	s.Table, s.Zero = table(series)
	if len(packed) > 0 {
		data, err := compress(packed)
		if err != nil {
			return s, err
		}
		s.Data = template.HTML(data) // base64, which has no character that means something in HTML
	}
	return s, nil
}

// table has a row for each measure that any of the series has, in the order of the first one that has it. What is zero in all of them gets no
// row, and is only named.
func table(series []lab.Series) (rows []row, zero []string) {
	greatest := map[string]float64{}
	for _, s := range series {
		for _, st := range s.Stats {
			greatest[st.Name] = max(greatest[st.Name], st.Max)
		}
	}
	seen := map[string]bool{}
	for _, s := range series {
		for _, st := range s.Stats {
			switch {
			case seen[st.Name]:
			case greatest[st.Name] == 0:
				zero = append(zero, st.Title)
			default:
				rows = append(rows, tableRow(st, series))
			}
			seen[st.Name] = true
		}
	}
	return rows, zero
}

func tableRow(of lab.Stat, series []lab.Series) row {
	r := row{Title: of.Title}
	most := 0.0
	for _, s := range series {
		c := newCell(of.Name, s)
		most = max(most, c.median, c.tail)
		r.Cells = append(r.Cells, c)
	}
	for i := range r.Cells {
		if c := &r.Cells[i]; most > 0 {
			c.Bar, c.Tail = int(100*c.median/most+0.5), int(100*c.tail/most+0.5)
		}
	}
	return r
}

// newCell is what a series has of a measure; its row adds the bars.
func newCell(name string, s lab.Series) cell {
	for _, st := range s.Stats {
		if st.Name == name && st.N > 0 {
			return cell{
				N: st.N, Median: quantity(st.Median, st.Unit), P99: quantity(st.P99, st.Unit), Min: quantity(st.Min, st.Unit), Max: quantity(st.Max, st.Unit),
				median: max(0, st.Median), tail: max(0, st.P99),
			}
		}
	}
	return cell{Absent: true}
}

func readRows(r lab.Run) []readRow {
	var rows []readRow
	times := map[string][]lab.Micros{}
	for _, c := range r.Commands {
		if c.Op == "write" {
			continue
		}
		i := slices.IndexFunc(rows, func(row readRow) bool { return row.Op == c.Op })
		if i < 0 {
			i = len(rows)
			rows = append(rows, readRow{Protocol: r.Protocol, Op: c.Op})
		}
		switch {
		case !c.OK:
			rows[i].Failed++
		default:
			rows[i].Reads++
			times[c.Op] = append(times[c.Op], c.Done-c.Sent)
			if c.Stale > 0 {
				rows[i].Stale++
			}
		}
	}
	for i := range rows {
		ts := times[rows[i].Op]
		rows[i].Median, rows[i].Worst = absent, absent
		if len(ts) > 0 {
			slices.Sort(ts)
			rows[i].Median, rows[i].Worst = span(float64(ts[(len(ts)-1)/2])), span(float64(ts[len(ts)-1]))
		}
	}
	slices.SortStableFunc(rows, func(a, b readRow) int { return strings.Compare(a.Op, b.Op) })
	return rows
}

// headline are the measures of the table on top of the page.
var headline = []string{"timeToLeader", "unavailable", "messagesPerCommit", "fsyncsPerCommit", "ackLatency.p50", "cut", "staleReads"}

// overviewRow is a scenario in the table on top.
type overviewRow struct {
	Name, Title string
	Protocol    string
	First       bool // of the scenario's
	Span        int  // rows of the scenario
	Cells       []cell
}

func overview(all []scenario, series []lab.Series) (titles []string, rows []overviewRow) {
	var names []string
	for _, h := range headline {
		if _, title := valuesOf(series, h); title != "" {
			names, titles = append(names, h), append(titles, title)
		}
	}
	for _, s := range all {
		first := len(rows)
		for _, one := range series {
			if one.Scenario != s.Name {
				continue
			}
			r := overviewRow{Name: s.Name, Title: s.Title, Protocol: one.Protocol, First: len(rows) == first}
			for _, name := range names {
				r.Cells = append(r.Cells, newCell(name, one))
			}
			rows = append(rows, r)
		}
		if len(rows) > first {
			rows[first].Span = len(rows) - first
		}
	}
	return titles, rows
}

// paragraph is a piece of text, perhaps with a word in front that says what it is about.
type paragraph struct{ Head, Text string }

// paragraphs are what empty lines divide, with the word or two that a paragraph may begin with, up to a full stop or colon, apart.
func paragraphs(text string) []paragraph {
	var ps []paragraph
	for _, p := range strings.Split(strings.TrimSpace(text), "\n\n") {
		p = strings.Join(strings.Fields(p), " ")
		head := ""
		if end := strings.IndexAny(p, ".:"); end > 0 && strings.Count(p[:end], " ") < 2 && strings.HasPrefix(p[end+1:], " ") {
			head, p = p[:end], p[end+2:]
		}
		if p != "" {
			ps = append(ps, paragraph{head, p})
		}
	}
	return ps
}
