package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zebu/internal/freeport"
	"zebu/internal/peers"
)

// lineup is an ensemble to be measured: the makes of its members, of which the last becomes the leader of an empty ensemble.
type lineup struct {
	name    string
	members []string
}

var lineups = []lineup{
	{"zebu", []string{"zebu", "zebu", "zebu"}},
	{"apache", []string{"apache", "apache", "apache"}},
	{"mixed", []string{"apache", "zebu", "zebu"}},
}

// ensemblePhases are the loads on ensembles, whose connections are spread over the members.
var ensemblePhases = []phase{
	{name: "get", mix: "get"},
	{name: "set", mix: "set"},
	{name: "90 % get, 10 % set", mix: "get=90,set=10"},
	{name: "one set at a time", mix: "set", single: true},
}

// ensembleLimit bounds a comparison of ensembles.
const ensembleLimit = 6 * time.Minute

// team is a running ensemble.
type team struct {
	name    string
	servers []*server
	many    *tree
	one     *tree
}

func ensembleCommand() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use: "ensemble", Short: "Measure ensembles of three: zebu, Apache ZooKeeper, and one of both", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.ensembles(cmd) },
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.quick, "quick", false, "everything in small: does it run, not how fast")
	fl.StringVar(&f.zebu, "zebu", "", "zebu binary to measure (default: built from this source)")
	fl.StringVar(&f.dir, "dir", "", "directory for the servers' data, on the disk to be measured (default: the system's for temporary files)")
	fl.StringVar(&f.out, "out", "", "file to write the results to, besides standard output; what was added by hand below its last line is kept")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of the random choices")
	return cmd
}

func (f *compareFlags) ensembles(cmd *cobra.Command) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), ensembleLimit)
	defer cancel()
	f.servers = []string{"zebu", "apache"}
	c, err := f.prepare(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(c.dir)
	c.progress = cmd.ErrOrStderr()
	for _, m := range c.makers {
		if java, ok := m.Maker.(*peers.Java); ok {
			java.Options = []string{"-Xms256m", "-Xmx1g", "-Dzebu.peers.level=WARN"}
		}
	}
	if err := c.ensembles(ctx); err != nil {
		return err
	}
	return publishText(cmd.OutOrStdout(), c.ensembleReport(), f.out)
}

// ensembles measures all lineups. All are up, one is loaded at a time, in turns.
func (c *comparison) ensembles(ctx context.Context) error {
	var teams []*team
	defer func() {
		for _, t := range teams {
			t.close()
		}
	}()
	for _, l := range lineups {
		t, err := c.startTeam(ctx, l)
		if err != nil {
			return fmt.Errorf("ensemble %s: %w", l.name, err)
		}
		teams = append(teams, t)
	}
	for range c.size.rounds {
		for _, p := range ensemblePhases {
			for _, t := range teams {
				if err := c.teamPhase(ctx, t, p); err != nil {
					return fmt.Errorf("ensemble %s, %s: %w", t.name, p.name, err)
				}
			}
		}
	}
	return nil
}

// startTeam starts an ensemble, fills its tree and warms it up.
func (c *comparison) startTeam(ctx context.Context, l lineup) (t *team, err error) {
	t = &team{name: l.name}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	var lines []string
	for i := range l.members {
		quorum, err := freeport.Next()
		if err != nil {
			return nil, err
		}
		election, err := freeport.Next()
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("server.%d=127.0.0.1:%d:%d", i+1, quorum, election))
	}
	lines = append(lines, "initLimit=10", "syncLimit=5")
	for i, name := range l.members {
		m := c.makers[slices.IndexFunc(c.makers, func(m *contestant) bool { return m.name == name })]
		dir := filepath.Join(c.dir, fmt.Sprintf("%s-%d", l.name, i+1))
		if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, "data", "myid"), fmt.Appendln(nil, i+1), 0o644); err != nil {
			return nil, err
		}
		s, err := peers.Launch(m.Maker, peers.Config{Dir: dir, Extra: slices.Concat(settings, lines)})
		if err != nil {
			return nil, err
		}
		t.servers = append(t.servers, &server{Server: s, maker: m})
	}
	return t, t.fill(ctx, c)
}

// fill waits until the ensemble serves, fills its tree and warms it up.
func (t *team) fill(ctx context.Context, c *comparison) error {
	var addrs []string
	for _, s := range t.servers {
		if err := s.AwaitServing(ctx); err != nil {
			return fmt.Errorf("%w; its log ends:\n%s", err, s.LogTail(20))
		}
		if s.maker.version == "" {
			s.maker.version = reportedVersion(s.Addr)
		}
		addrs = append(addrs, s.Addr)
	}
	var err error
	if t.many, err = openTree(ctx, addrs, connections, dataSize, c.seed); err != nil {
		return err
	}
	if t.one, err = openTree(ctx, addrs[:1], 1, dataSize, c.seed); err != nil {
		return err
	}
	if _, err := t.many.fill(ctx, c.size.keys); err != nil {
		return err
	}
	t.one.keys, t.one.space = t.many.keys, t.many.space
	for _, mix := range []string{"get", "set"} {
		if _, err := t.many.mixed(ctx, mustMix(mix), Run{Depth: depth, Duration: c.size.warmUp}); err != nil {
			return err
		}
	}
	return nil
}

func (t *team) close() {
	for _, tr := range []*tree{t.many, t.one} {
		if tr != nil {
			tr.close()
		}
	}
	for _, s := range t.servers {
		s.Kill()
	}
}

// teamPhase puts a load on an ensemble. CPU time is the sum of its members'.
func (c *comparison) teamPhase(ctx context.Context, t *team, p phase) error {
	run, tr := Run{Depth: depth, Duration: c.size.phase}, t.many
	if p.single {
		run.Depth, tr = 1, t.one
	}
	var pids []int
	for _, s := range t.servers {
		pids = append(pids, s.PID())
	}
	res, err := measure(pids, func() (*Result, error) { return tr.mixed(ctx, mustMix(p.mix), run) })
	if err == nil {
		err = complete(ctx, res)
	}
	if err != nil {
		return err
	}
	if c.loads[t.name] == nil {
		c.loads[t.name] = map[string]*Result{}
	}
	if c.loads[t.name][p.name] == nil {
		c.loads[t.name][p.name] = new(Result)
	}
	c.loads[t.name][p.name].Merge(res)
	fmt.Fprintf(c.progress, "%-7s %-20s %8.0f/s  CPU %6.2f us, generator %5.2f us  p99 %v\n", t.name, p.name, res.Rate(),
		res.perOp(res.ServerCPU), res.perOp(res.ClientCPU), res.Latency.Quantile(.99))
	return nil
}

// ensembleRows are the measures of ensembles.
var ensembleRows = []row{
	{"set, throughput", "/s", ratioAtLeast, 4, ofLoad("set", (*Result).Rate)},
	{"set, CPU of the three servers per operation", "us", ratioAtMost, .25, ofLoad("set", serverCPU)},
	{"set, p99", "ms", ratioAtMost, 1. / 3, ofLoad("set", p99)},
	{"get, throughput", "/s", ratioAtLeast, 3, ofLoad("get", (*Result).Rate)},
	{"get, CPU of the three servers per operation", "us", none, 0, ofLoad("get", serverCPU)},
	{"get, p99", "ms", none, 0, ofLoad("get", p99)},
	{"90 % get, 10 % set, throughput", "/s", none, 0, ofLoad("90 % get, 10 % set", (*Result).Rate)},
	{"one set at a time, throughput", "/s", none, 0, ofLoad("one set at a time", (*Result).Rate)},
}

// ensembleReport renders the comparison of ensembles as Markdown.
func (c *comparison) ensembleReport() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Ensembles of three\n\nWritten by `make bench` (`go run ./bench ensemble`) on %s.\n\n", time.Now().UTC().Format("2 January 2006"))
	fmt.Fprintf(&b, "Machine: %s; generator and all servers on the same cores and disk.\n", describeMachine(c.dir))
	fmt.Fprintf(&b, "Servers: %s. \"mixed\" is two zebu servers, one of which leads, and one Apache ZooKeeper follower.\n", c.serverList())
	fmt.Fprintf(&b, "Default configuration with fsync, except globalOutstandingLimit=100000 in all; Apache ZooKeeper's heap is -Xms256m -Xmx1g.\n")
	fmt.Fprintf(&b, "%d bytes of data; %d connections spread over the members, with %d requests in flight each, on %s nodes, %d rounds in turns.\n",
		dataSize, connections, depth, thousands(c.size.keys), c.size.rounds)
	b.WriteString("\n| | zebu | Apache | ratio | target | met | mixed |\n|---|---:|---:|---:|---:|---|---:|\n")
	for _, r := range ensembleRows {
		zebu, apache, mixed := r.value(c, "zebu"), r.value(c, "apache"), r.value(c, "mixed")
		if math.IsNaN(zebu) && math.IsNaN(apache) {
			continue
		}
		target, met := r.judge(zebu, apache)
		fmt.Fprintf(&b, "| %s (%s) | %s | %s | %s | %s | %s | %s |\n", r.title, r.unit, number(zebu), number(apache), number(zebu/apache), target, met, number(mixed))
	}
	b.WriteString("\n| load | ensemble | operations/s | CPU of the three | generator CPU | p50 | p90 | p99 | p99.9 | max |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, p := range ensemblePhases {
		for _, l := range lineups {
			if r := c.loads[l.name][p.name]; r != nil {
				reportLoad(&b, p.name, l.name, r)
			}
		}
	}
	b.WriteString("\n" + notesMark + "\n")
	return b.String()
}

// publishText prints a report, and writes it to a file if there is to be one, keeping what was added by hand.
func publishText(out io.Writer, text, file string) error {
	if _, err := io.WriteString(out, text); err != nil || file == "" {
		return err
	}
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text+keptNotes(string(old))), 0o644)
}
