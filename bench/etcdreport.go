package main

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"
)

// middle returns the middle one, NaN without any.
func middle(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// ofRounds returns the median of what the rounds of a load gave.
func (b *etcdBench) ofRounds(id teamID, load string, of func(*Result) float64) float64 {
	var v []float64
	for _, r := range b.loads[id][load] {
		v = append(v, of(r))
	}
	return middle(v)
}

// keyRow is a line of the tables that compare.
type keyRow struct {
	row
	value func(b *etcdBench, id teamID) float64
}

func roundsRow(title, unit string, bound bound, limit float64, load string, of func(*Result) float64) keyRow {
	return keyRow{row{title: title, unit: unit, bound: bound, limit: limit}, func(b *etcdBench, id teamID) float64 { return b.ofRounds(id, load, of) }}
}

func valueRow(title, unit string, bound bound, limit float64, key string) keyRow {
	return keyRow{row{title: title, unit: unit, bound: bound, limit: limit}, func(b *etcdBench, id teamID) float64 { return middle(b.values[id][key]) }}
}

func p50(r *Result) float64 { return millis(r.Latency.Quantile(.5)) }

// throughputTargets are the least ratios that are asked for.
var throughputTargets = map[string]float64{
	"put, 1 client": 1.2, "put, 100 clients": 1.5, "range, 1 client": 1.5, "range, 100 clients": 1.5, "txn with a put, 100 clients": 1.5,
}

// keyRows are the lines for one size of ensemble.
func (b *etcdBench) keyRows(members int) []keyRow {
	var rows []keyRow
	for i := range keyLoads {
		name := keyLoads[i].name
		if keyLoads[i].run == nil {
			continue
		}
		bound, limit := none, throughputTargets[name]
		if limit > 0 {
			bound = ratioAtLeast
		}
		rows = append(rows, roundsRow(name, "/s", bound, limit, name, (*Result).Rate))
	}
	rows = append(rows,
		roundsRow("watch latency, p50", "ms", none, 0, "watch", p50),
		roundsRow("watch latency, p99", "ms", ratioAtMost, 1, "watch", p99),
	)
	for i := range keyLoads {
		if name := keyLoads[i].name; keyLoads[i].run != nil {
			rows = append(rows, roundsRow(name+": server CPU per operation", "us", none, 0, name, serverCPU))
		}
	}
	filled := fmt.Sprintf("%s revisions of %d bytes", thousands(b.size.revisions), valueSize)
	rows = append(rows,
		roundsRow("watch: server CPU per event", "us", none, 0, "watch", serverCPU),
		valueRow(filled+": written at", "/s", none, 0, "fill.rate"),
		valueRow(filled+": server CPU per put", "us", none, 0, "fill.cpu"),
		valueRow(filled+": resident", "MB", ratioAtMost, 1, "fill.memory"),
		valueRow(filled+": most resident", "MB", none, 0, "fill.peak"),
		valueRow(filled+": directory", "MB", none, 0, "fill.disk"),
	)
	if members == 1 {
		rows = append(rows,
			valueRow(filled+": start until the first answer", "s", none, 0, "restart.time"),
			valueRow(filled+": the same after SIGKILL", "s", none, 0, "restart.killed.time"),
			valueRow(filled+": resident after the start", "MB", none, 0, "restart.memory"),
		)
	}
	return rows
}

// report renders everything measured as Markdown.
func (b *etcdBench) report(sizes []int) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# The etcd API: zebu and etcd\n\nWritten by `go run ./bench etcd --out bench/ETCD.md` on %s.\n\n", time.Now().UTC().Format("2 January 2006"))
	fmt.Fprintf(&out, "Machine: %s; clients and all servers on the same cores and disk.\n", describeMachine(b.dir))
	fmt.Fprintf(&out, "Servers: zebu and etcd 3.6.16 in their default configurations, with fsync; etcd with --log-level=warn.\n")
	fmt.Fprintf(&out, "Clients: etcd's Go client, the same program with the same settings for both, on %d of the processors; each client with one request in flight;\n"+
		"%d clients on %d connections, spread over the members; one client alone at the leader. Keys of %d bytes in sequence, values of %d bytes.\n"+
		"Watches: %d on one key, %d puts a second; from the sending of the put to the event. Loads of %v, %d rounds in turns; medians of the rounds.\n"+
		"Ratio is zebu over etcd. CPU is that of all servers.\n",
		runtime.GOMAXPROCS(0), keyClients, keyConnections, keySize, valueSize, keyWatchers, watchRate, b.size.phase, b.size.rounds)
	for _, members := range sizes {
		b.reportSize(&out, members)
	}
	b.reportIdle(&out)
	out.WriteString("\n" + notesMark + "\n")
	return out.String()
}

func (b *etcdBench) reportSize(out *strings.Builder, members int) {
	title := "Single server"
	if members > 1 {
		title = fmt.Sprintf("Ensemble of %d", members)
	}
	zebu, etcd := teamID{"zebu", members}, teamID{"etcd", members}
	fmt.Fprintf(out, "\n## %s\n\n| | zebu | etcd | ratio | target | met |\n|---|---:|---:|---:|---:|---|\n", title)
	for _, r := range b.keyRows(members) {
		v, w := r.value(b, zebu), r.value(b, etcd)
		if math.IsNaN(v) && math.IsNaN(w) {
			continue
		}
		target, met := r.judge(v, w)
		fmt.Fprintf(out, "| %s (%s) | %s | %s | %s | %s | %s |\n", r.title, r.unit, number(v), number(w), number(v/w), target, met)
	}
	if len(b.loads[zebu]) == 0 {
		return
	}
	out.WriteString("\nAll rounds together; CPU in microseconds per operation, latencies in milliseconds:\n\n" +
		"| load | server | operations/s | server CPU | client CPU | p50 | p90 | p99 | p99.9 | max |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for i := range keyLoads {
		for _, system := range etcdSystems {
			rounds := b.loads[teamID{system, members}][keyLoads[i].name]
			if len(rounds) == 0 {
				continue
			}
			sum := new(Result)
			for _, r := range rounds {
				sum.Merge(r)
			}
			reportLoad(out, keyLoads[i].name, system, sum)
		}
	}
}

// idleRatios returns the ratios of the rounds.
func (b *etcdBench) idleRatios() []float64 {
	on, off := b.values[idleOn]["idle.rate"], b.values[idleOff]["idle.rate"]
	ratios := make([]float64, min(len(on), len(off)))
	for i := range ratios {
		ratios[i] = on[i] / off[i]
	}
	return ratios
}

func (b *etcdBench) reportIdle(out *strings.Builder) {
	ratios := b.idleRatios()
	if len(ratios) == 0 {
		return
	}
	ratio, met := middle(ratios), "**no**"
	if ratio >= .97 {
		met = "yes"
	}
	fmt.Fprintf(out, "\n## ZooKeeper's sets beside a gateway that nobody uses\n\n"+
		"One zebu server each, %d connections with %d sets of %d bytes in flight each, %d rounds of %v in turns; the ratio is the median of the rounds'.\n\n"+
		"| | gateway on, idle | gateway off | ratio | target | met |\n|---|---:|---:|---:|---:|---|\n", connections, depth, dataSize, len(ratios), b.size.idlePhase)
	line := func(title, key string, ratio float64, target, met string) {
		on, off := middle(b.values[idleOn][key]), middle(b.values[idleOff][key])
		if math.IsNaN(ratio) {
			ratio = on / off
		}
		fmt.Fprintf(out, "| %s | %s | %s | %.3f | %s | %s |\n", title, number(on), number(off), ratio, target, met)
	}
	line("set, throughput (/s)", "idle.rate", ratio, ">= 0.97 x", met)
	line("set, server CPU per operation (us)", "idle.cpu", math.NaN(), "", "")
	cost := middle(b.values[idleOn]["idle.memory"]) - middle(b.values[idleOff]["idle.memory"])
	met = "yes"
	if cost >= 60 {
		met = "**no**"
	}
	line("resident before any load (MB)", "idle.memory", math.NaN(), "< 60 MB more", met)
}
