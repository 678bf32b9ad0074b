package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// bound says what a target holds to.
type bound int

const (
	none         bound = iota
	atMost             // zebu's value
	ratioAtLeast       // zebu's value over Apache ZooKeeper's
	ratioAtMost
)

// row is a line of the table of targets.
type row struct {
	title string
	unit  string
	bound bound
	limit float64
	value func(c *comparison, server string) float64 // NaN if not measured
}

// ofLoad returns a function that takes a number from a load's result.
func ofLoad(phase string, of func(*Result) float64) func(*comparison, string) float64 {
	return func(c *comparison, server string) float64 {
		if r := c.loads[server][phase]; r != nil {
			return of(r)
		}
		return math.NaN()
	}
}

func ofValue(key string) func(*comparison, string) float64 {
	return func(c *comparison, server string) float64 {
		if v, ok := c.values[server][key]; ok {
			return v
		}
		return math.NaN()
	}
}

func serverCPU(r *Result) float64 { return r.perOp(r.ServerCPU) }
func p99(r *Result) float64       { return millis(r.Latency.Quantile(.99)) }

// rows returns the measures that have targets, and those that belong beside them.
func (c *comparison) rows() []row {
	rows := []row{
		{"get, server CPU per operation", "us", atMost, 2, ofLoad("get", serverCPU)},
		{"set, server CPU per operation", "us", atMost, 5, ofLoad("set", serverCPU)},
		{"create, server CPU per operation", "us", atMost, 7, ofLoad("create", serverCPU)},
	}
	for _, op := range []string{"get", "set", "create"} {
		rows = append(rows, row{op + ", throughput", "/s", ratioAtLeast, 4, ofLoad(op, (*Result).Rate)})
	}
	for _, op := range []string{"get", "set", "create"} {
		rows = append(rows, row{op + ", p99", "ms", ratioAtMost, .25, ofLoad(op, p99)})
	}
	tree := fmt.Sprintf("tree of %s nodes", thousands(c.size.tree))
	sessions := fmt.Sprintf("%s idle sessions", thousands(c.size.sessions))
	watches := fmt.Sprintf("%s watches on %s connections", thousands(c.size.watches*c.size.sessions), thousands(c.size.sessions))
	return append(rows,
		row{"one get at a time, throughput", "/s", ratioAtLeast, 1.5, ofLoad("one get at a time", (*Result).Rate)},
		row{"one set at a time, throughput", "/s", ratioAtLeast, 1.5, ofLoad("one set at a time", (*Result).Rate)},
		row{tree + ", resident after it was created", "MB", atMost, 350, ofValue("tree.memory")},
		row{tree + ", resident after a restart", "MB", atMost, 350, ofValue("tree.restarted")},
		row{tree + ", most resident while it was created", "MB", none, 0, ofValue("tree.peak")},
		row{tree + ", start until the first answer", "s", atMost, 1, ofValue("tree.start")},
		row{tree + ", creates", "/s", none, 0, ofValue("tree.fill.rate")},
		row{"longest write in 8 s without a snapshot, median of 5", "ms", none, 0, ofValue("quiet.max")},
		row{"longest write in 8 s with snapshots written meanwhile, median of 5", "ms", none, 0, ofValue("snapshot.max")},
		row{"difference of the two", "ms", atMost, 5, ofValue("snapshot.extra")},
		row{"p99.9 of writes without a snapshot", "ms", none, 0, ofValue("quiet.p999")},
		row{"p99.9 of writes with snapshots written meanwhile", "ms", none, 0, ofValue("snapshot.p999")},
		row{"snapshots written meanwhile", "", none, 0, ofValue("snapshot.count")},
		row{"time to write a snapshot", "s", none, 0, ofValue("snapshot.time")},
		row{sessions + ", resident", "MB", atMost, 150, ofValue("sessions.memory")},
		row{sessions + ", opened", "/s", none, 0, ofValue("sessions.rate")},
		row{watches + ", a node each: resident", "MB", atMost, 250, ofValue("watches.distinct.memory")},
		row{watches + ", a node each: added by the watches", "MB", none, 0, ofValue("watches.distinct.added")},
		row{watches + ", on the same nodes: resident", "MB", atMost, 250, ofValue("watches.shared.memory")},
		row{watches + ", on the same nodes: added by the watches", "MB", none, 0, ofValue("watches.shared.added")},
	)
}

// judge returns the target in words and whether it is met, "" if there is none or nothing to judge.
func (r *row) judge(zebu, apache float64) (target, met string) {
	value := zebu / apache
	switch r.bound {
	case none:
		return "", ""
	case atMost:
		target, value = fmt.Sprintf("<= %s %s", number(r.limit), r.unit), zebu
	case ratioAtLeast:
		target = fmt.Sprintf(">= %s x", number(r.limit))
	case ratioAtMost:
		target = fmt.Sprintf("<= %s x", number(r.limit))
	}
	switch {
	case math.IsNaN(value):
		return target, ""
	case r.bound == ratioAtLeast && value >= r.limit || r.bound != ratioAtLeast && value <= r.limit:
		return target, "yes"
	}
	return target, "**no**"
}

// number prints v with three digits that count, and a dash for what was not measured.
func number(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case math.Abs(v) >= 1000:
		return thousands(int(math.Round(v)))
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// thousands prints n with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// report renders everything measured as Markdown.
func (c *comparison) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Measurements\n\nWritten by `make bench` (`go run ./bench compare`) on %s.\n\n", time.Now().UTC().Format("2 January 2006"))
	fmt.Fprintf(&b, "Machine: %s; generator and servers on the same cores.\n", describeMachine(c.dir))
	fmt.Fprintf(&b, "Servers: %s.\nOne standalone server each, default configuration with fsync, except globalOutstandingLimit=100000 in both;\n", c.serverList())
	fmt.Fprintf(&b, "Apache ZooKeeper's heap is -Xms512m -Xmx2g. %d bytes of data; loads over %d connections with %d requests in flight each,\n", dataSize, connections, depth)
	fmt.Fprintf(&b, "on %s nodes, %d rounds in turns. Ratio is zebu over Apache ZooKeeper.\n", thousands(c.size.keys), c.size.rounds)
	c.reportTargets(&b)
	c.reportLoads(&b)
	if len(c.notes) > 0 {
		b.WriteString("\n## Not measured\n\n")
		for _, n := range c.notes {
			fmt.Fprintf(&b, "- %s\n", n)
		}
	}
	b.WriteString("\n" + notesMark + "\n")
	return b.String()
}

func (c *comparison) serverList() string {
	var names []string
	for _, m := range c.makers {
		switch m.name {
		case "apache":
			names = append(names, "Apache ZooKeeper "+m.version)
		default:
			names = append(names, m.name)
		}
	}
	return strings.Join(names, " and ")
}

func (c *comparison) reportTargets(b *strings.Builder) {
	b.WriteString("\n## Targets\n\n| | zebu | Apache | ratio | target | met |\n|---|---:|---:|---:|---:|---|\n")
	for _, r := range c.rows() {
		zebu, apache := r.value(c, "zebu"), r.value(c, "apache")
		if math.IsNaN(zebu) && math.IsNaN(apache) {
			continue
		}
		target, met := r.judge(zebu, apache)
		title := r.title
		if r.unit != "" {
			title += " (" + r.unit + ")"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", title, number(zebu), number(apache), number(zebu/apache), target, met)
	}
}

func (c *comparison) reportLoads(b *strings.Builder) {
	if len(c.loads) == 0 {
		return
	}
	b.WriteString("\n## Loads\n\nCPU in microseconds per operation, latencies in milliseconds. \"echo\" answers every request at once and keeps\n" +
		"nothing: what it and the generator take is the floor under all other numbers.\n\n" +
		"| load | server | operations/s | server CPU | generator CPU | p50 | p90 | p99 | p99.9 | max |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, p := range phases {
		for _, server := range []string{"zebu", "apache", "echo"} {
			r := c.loads[server][p.name]
			if r == nil {
				continue
			}
			reportLoad(b, p.name, server, r)
		}
	}
}

// reportLoad writes a line of a table of loads.
func reportLoad(b *strings.Builder, load, server string, r *Result) {
	fmt.Fprintf(b, "| %s | %s | %s | %.2f | %.2f |", load, server, number(r.Rate()), serverCPU(r), r.perOp(r.ClientCPU))
	for _, q := range []float64{.5, .9, .99, .999, 1} {
		fmt.Fprintf(b, " %s |", number(millis(r.Latency.Quantile(q))))
	}
	b.WriteString("\n")
}

// notesMark is the last line of a report; what stands below it in the file is kept when the report is written again.
const notesMark = "<!-- Below: written by hand, kept by make bench. -->"

// keptNotes returns what an older report has below its mark.
func keptNotes(old string) string {
	_, notes, _ := strings.Cut(old, notesMark+"\n")
	return notes
}
