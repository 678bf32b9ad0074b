package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// The load that the targets were set with.
const (
	dataSize    = 100
	connections = 16
	depth       = 16
)

// sizes scales the comparison.
type sizes struct {
	keys           int           // nodes that gets and sets go to
	rounds         int           // of every load
	phase          time.Duration // one load in one round
	warmUp         time.Duration
	creates        int64         // in one round
	tree           int           // nodes
	snapshots      time.Duration // of writes with or without snapshots, in one round
	snapshotRounds int
	sessions       int
	watches        int // per session
}

var (
	fullSize = sizes{
		keys: 10_000, rounds: 2, phase: 4 * time.Second, warmUp: 4 * time.Second, creates: 200_000,
		tree: 1_000_000, snapshots: 8 * time.Second, snapshotRounds: 5, sessions: 10_000, watches: 100,
	}
	quickSize = sizes{
		keys: 1000, rounds: 1, phase: 300 * time.Millisecond, warmUp: 300 * time.Millisecond, creates: 5000,
		tree: 20_000, snapshots: 4 * time.Second, snapshotRounds: 1, sessions: 200, watches: 20,
	}
)

// scenario is a part of the comparison that can be run alone.
type scenario struct {
	name  string
	limit time.Duration // for all contestants together
	run   func(ctx context.Context, c *comparison) error
}

var scenarios = []scenario{
	{"load", 4 * time.Minute, loadScenario},
	{"tree", 8 * time.Minute, treeScenario},
	{"sessions", time.Minute, sessionsScenario},
	{"watches", 2 * time.Minute, watchesScenario},
}

func scenarioNames() []string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// comparison is one run of the scenarios over all contestants.
type comparison struct {
	size     sizes
	makers   []*contestant
	dir      string // servers' directories
	profiles string // directory for CPU profiles of zebu; "" is none
	seed     uint64
	progress io.Writer

	loads  map[string]map[string]*Result // by contestant and phase
	values map[string]map[string]float64 // everything else, by contestant and key
	notes  []string                      // what could not be measured
}

// set keeps a measured value.
func (c *comparison) set(m *contestant, key string, value float64) {
	if c.values[m.name] == nil {
		c.values[m.name] = make(map[string]float64)
	}
	c.values[m.name][key] = value
	fmt.Fprintf(c.progress, "%-7s %-28s %.4g\n", m.name, key, value)
}

// each runs f for one contestant after the other, each with a directory of its own. The failure of one is noted and
// does not keep the others from being measured.
func (c *comparison) each(ctx context.Context, what string, f func(m *contestant, dir string) error) error {
	for _, m := range c.makers {
		dir, err := os.MkdirTemp(c.dir, m.name+"-")
		if err != nil {
			return err
		}
		if err := f(m, dir); err != nil {
			c.note(m, what, err)
		}
		if err := errors.Join(ctx.Err(), os.RemoveAll(dir)); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) note(m *contestant, what string, err error) {
	text, _, _ := strings.Cut(err.Error(), "\n")
	c.notes = append(c.notes, fmt.Sprintf("%s, %s: %s", m.name, what, text))
	fmt.Fprintf(c.progress, "%s, %s: %v\n", m.name, what, err)
}

// compareFlags are the flags of the compare command.
type compareFlags struct {
	servers []string
	only    []string
	quick   bool
	zebu    string
	dir     string
	out     string
	profile string
	seed    uint64
}

func compareCommand() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use: "compare", Short: "Measure zebu and Apache ZooKeeper side by side", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.execute(cmd) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.servers, "servers", []string{"zebu", "apache"}, "servers to measure")
	fl.StringSliceVar(&f.only, "only", nil, "scenarios to run, of "+strings.Join(scenarioNames(), " ")+" (default all)")
	fl.BoolVar(&f.quick, "quick", false, "everything in small: does it run, not how fast")
	fl.StringVar(&f.zebu, "zebu", "", "zebu binary to measure (default: built from this source)")
	fl.StringVar(&f.dir, "dir", "", "directory for the servers' data, on the disk to be measured (default: the system's for temporary files)")
	fl.StringVar(&f.out, "out", "", "file to write the results to, besides standard output; what was added by hand below its last line is kept")
	fl.StringVar(&f.profile, "profile", "", "directory for CPU profiles of zebu under each load")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of the random choices")
	return cmd
}

func (f *compareFlags) execute(cmd *cobra.Command) error {
	for _, name := range f.only {
		if !slices.Contains(scenarioNames(), name) {
			return fmt.Errorf("--only: unknown scenario %q, expected one of %s", name, strings.Join(scenarioNames(), " "))
		}
	}
	c, err := f.prepare(cmd.Context())
	if err != nil {
		return err
	}
	defer os.RemoveAll(c.dir)
	c.progress = cmd.ErrOrStderr()
	for _, s := range scenarios {
		if len(f.only) > 0 && !slices.Contains(f.only, s.name) {
			continue
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), s.limit)
		err := s.run(ctx, c)
		cancel()
		if cmd.Context().Err() != nil {
			return cmd.Context().Err()
		}
		if err != nil {
			c.notes = append(c.notes, fmt.Sprintf("%s: %v", s.name, err))
		}
	}
	if err := publishText(cmd.OutOrStdout(), c.report(), f.out); err != nil {
		return err
	}
	if f.quick && len(c.notes) > 0 {
		return fmt.Errorf("not measured: %s", strings.Join(c.notes, "; "))
	}
	return nil
}

func (f *compareFlags) prepare(ctx context.Context) (*comparison, error) {
	c := &comparison{
		size: fullSize, seed: f.seed, profiles: f.profile,
		loads: make(map[string]map[string]*Result), values: make(map[string]map[string]float64),
	}
	if f.quick {
		c.size = quickSize
	}
	var err error
	if c.makers, err = contestants(ctx, f.servers, f.zebu); err != nil {
		return nil, err
	}
	if f.profile != "" {
		if err := os.MkdirAll(f.profile, 0o755); err != nil {
			return nil, err
		}
	}
	c.dir, err = os.MkdirTemp(f.dir, "zebu-bench-")
	return c, err
}
