package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zebu/sim"
)

// simFlags say which simulated ensembles to run.
type simFlags struct {
	seed, noise  uint64
	seeds        string
	minutes      float64
	shrink       bool
	runs         int // for shrinking
	last         int
	workers      int
	faults       string
	etcd         string // file for the history of etcd's users
	sizes        map[string]*int
	one, reduced bool // --seed was given; --faults was
}

func newSimCommand() *cobra.Command {
	f := &simFlags{sizes: map[string]*int{}}
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Run simulated ensembles in which everything goes wrong, and check that nothing is lost",
		Long: `Run whole ensembles with clients, in one goroutine each, under a simulated network, disk and
clock: the code of the server, from one seed. A seed draws an ensemble and what goes wrong
with it, and is the same run every time. What must be true is checked at every step; in the
end everything is healed, and everybody must be served.`,
		Example: `  zebu sim --minutes 10              # as many seeds as there is time for, on all processors
  zebu sim --seeds 1..1000           # these
  zebu sim --seed 42                 # one; prints the hash of all that happened
  zebu sim --seed 42 --shrink        # one that fails: with fewer faults`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.one, f.reduced = cmd.Flags().Changed("seed"), cmd.Flags().Changed("faults")
			return f.run(cmd)
		},
	}
	fl := cmd.Flags()
	fl.Uint64Var(&f.seed, "seed", 0, "run this seed")
	fl.StringVar(&f.seeds, "seeds", "", "run these seeds: A..B, or A.. without end")
	fl.Float64Var(&f.minutes, "minutes", 0, "run for so many minutes")
	fl.BoolVar(&f.shrink, "shrink", false, "make a failing run smaller: fewer faults, servers and clients")
	fl.IntVar(&f.runs, "shrink-runs", 3000, "how many runs that may take")
	fl.IntVar(&f.last, "last", 60, "print so many of the last steps of a failing run; 0: all")
	fl.IntVar(&f.workers, "workers", runtime.GOMAXPROCS(0), "processors to use")
	fl.Uint64Var(&f.noise, "noise", 0, "with --seed: another choice of latencies and the like")
	fl.StringVar(&f.faults, "faults", "", "with --seed: only these of its faults, by number, with commas between")
	fl.StringVar(&f.etcd, "etcd-history", "", "with --seed: write what users of the etcd API asked and were told to this file, as JSON")
	for _, s := range sim.NewPlan(1).Sizes() {
		f.sizes[s.Name] = fl.Int(s.Name, -1, "with --seed: so many, whatever the seed says")
	}
	return cmd
}

func (f *simFlags) run(cmd *cobra.Command) error {
	if f.one {
		p, err := f.plan()
		if err != nil {
			return &exitError{exitInvalid, usageError{cmd, err}}
		}
		return f.runOne(cmd.OutOrStdout(), p)
	}
	h := sim.Hunt{From: 1, Workers: f.workers}
	var err error
	switch {
	case f.seeds != "":
		if h.From, h.To, err = seedRange(f.seeds); err != nil {
			return &exitError{exitInvalid, usageError{cmd, err}}
		}
	case f.minutes > 0:
		h.From = uint64(time.Now().Unix()) % 1_000_000 * 1000 // others than the last time
	default:
		return &exitError{exitInvalid, usageError{cmd, errors.New("which seeds? Give --seed, --seeds or --minutes")}}
	}
	if f.minutes > 0 {
		h.Until = time.Now().Add(time.Duration(f.minutes * float64(time.Minute)))
	}
	return f.hunt(cmd.OutOrStdout(), &h)
}

// seedRange reads A..B or A.. .
func seedRange(s string) (from, to uint64, err error) {
	a, b, ok := strings.Cut(s, "..")
	if from, err = strconv.ParseUint(a, 10, 64); err != nil || !ok {
		return 0, 0, fmt.Errorf("--seeds %s: expected A..B", s)
	}
	if b == "" {
		return from, 0, nil
	}
	if to, err = strconv.ParseUint(b, 10, 64); err != nil || to < from {
		return 0, 0, fmt.Errorf("--seeds %s: expected A..B", s)
	}
	return from, to, nil
}

// plan is what --seed and the flags beside it stand for.
func (f *simFlags) plan() (*sim.Plan, error) {
	p := sim.NewPlan(f.seed)
	p.Noise = f.noise
	if f.reduced {
		var keep []int
		for _, s := range strings.FieldsFunc(f.faults, func(r rune) bool { return r == ',' }) {
			n, err := strconv.Atoi(s)
			if err != nil {
				return nil, fmt.Errorf("--faults %s: expected numbers with commas between", f.faults)
			}
			keep = append(keep, n)
		}
		p.Keep(keep)
	}
	for _, s := range p.Sizes() {
		switch n := *f.sizes[s.Name]; {
		case n == -1:
		case n < 0, n == 0 && s.Name != "observers", n > math.MaxInt8:
			return nil, fmt.Errorf("--%s %d: that is no number of them", s.Name, n)
		default:
			*s.Value = n
		}
	}
	return p, nil
}

func (f *simFlags) runOne(out io.Writer, p *sim.Plan) error {
	r := p.Run(nil)
	fmt.Fprintf(out, "seed %d: %v\n", p.Seed, &r)
	if r.Err != nil {
		return f.report(out, p)
	}
	if f.etcd == "" {
		return nil
	}
	if r.Etcd == nil {
		return fmt.Errorf("--etcd-history: seed %d has no users of the etcd API; --etcd-users gives it some", p.Seed)
	}
	b, err := json.Marshal(r.Etcd())
	if err != nil {
		return err
	}
	return os.WriteFile(f.etcd, b, 0o644)
}

// hunt runs many seeds, and tells now and then how far it is.
func (f *simFlags) hunt(out io.Writer, h *sim.Hunt) error {
	fmt.Fprintf(out, "seeds from %d on, with %d processors; %s\n", h.From, h.Workers, buildCommit())
	told := time.Now()
	h.Progress = func(t *sim.Totals) {
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintln(out, t)
		}
	}
	t := h.Run()
	fmt.Fprintln(out, t)
	fmt.Fprintln(out, t.Counts)
	if t.Failed == 0 {
		return nil
	}
	return f.report(out, sim.NewPlan(t.Failed))
}

// report shows how a plan fails, made smaller if that is asked for.
func (f *simFlags) report(out io.Writer, p *sim.Plan) error {
	if f.shrink {
		fmt.Fprintf(out, "making seed %d smaller, which has %d faults\n", p.Seed, len(p.Faults))
		p = p.Shrink(f.runs, func(p *sim.Plan, err error) {
			fmt.Fprintf(out, "  %d faults, %d servers, %d clients: %v\n", len(p.Faults), p.Options.Voters+p.Options.Observers, p.Options.Clients, err)
		})
	}
	tail := sim.Tail{Size: f.last}
	r := p.Run(tail.Add)
	for _, line := range tail.Lines() {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out, "\nwhat was to go wrong:")
	for _, fault := range p.Faults {
		if fault.At <= r.Virtual {
			fmt.Fprintln(out, " ", fault)
		}
	}
	fmt.Fprintf(out, "\nFAILED: %v\ncommit: %s\nrerun:  zebu sim %s\n", r.Err, buildCommit(), p.Args())
	if !f.shrink {
		fmt.Fprintf(out, "smaller: zebu sim %s --shrink\n", p.Args())
	}
	return errTold
}

// buildCommit is the commit that this program was built from.
func buildCommit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "an unknown commit"
	}
	commit, dirty := "an unknown commit", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ", changed"
		}
	}
	return commit + dirty
}
