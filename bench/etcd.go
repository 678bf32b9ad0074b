package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zebu/internal/peers"
)

// etcdLimit bounds a comparison with etcd.
const etcdLimit = 25 * time.Minute

// etcdSizes scales the comparison with etcd.
type etcdSizes struct {
	rounds     int           // of every load, in turns
	phase      time.Duration // one load in one round
	warmUp     time.Duration
	watch      time.Duration // of watches, in one round
	revisions  int           // that servers are filled with
	idleRounds int           // of ZooKeeper's sets with and without the gateway
	idlePhase  time.Duration
}

var (
	etcdFull = etcdSizes{
		rounds: 3, phase: 1500 * time.Millisecond, warmUp: time.Second, watch: 3 * time.Second,
		revisions: 1_000_000, idleRounds: 15, idlePhase: 700 * time.Millisecond,
	}
	etcdShort = etcdSizes{
		rounds: 1, phase: 500 * time.Millisecond, warmUp: 200 * time.Millisecond, watch: time.Second,
		revisions: 20_000, idleRounds: 3, idlePhase: 300 * time.Millisecond,
	}
)

// etcdSystems are the makes that are compared.
var etcdSystems = []string{"zebu", "etcd"}

// etcdParts are what the comparison with etcd consists of, besides the loads (see keyLoads).
const (
	partMemory = "memory"
	partIdle   = "idle"
)

// etcdBench is a comparison of zebu's etcd API with etcd.
type etcdBench struct {
	size     etcdSizes
	only     []string // parts to run; empty is all
	dir      string   // servers' directories
	profiles string   // directory for CPU profiles of zebu; "" is none
	progress io.Writer
	zebu     peers.Maker
	etcd     string // program

	loads  map[teamID]map[string][]*Result // a result for each round, by load
	values map[teamID]map[string][]float64 // everything else, by key
}

// teamID is a system with a number of servers.
type teamID struct {
	system  string
	members int
}

func (id teamID) String() string { return fmt.Sprintf("%s/%d", id.system, id.members) }

// etcdFlags are the flags of the etcd command.
type etcdFlags struct {
	only              []string
	members           []int
	short             bool
	revisions, rounds int
	phase             time.Duration
	procs             int
	zebu, dir         string
	out, profile      string
}

func etcdPartNames() []string {
	var names []string
	for i := range keyLoads {
		if name := keyLoads[i].part; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return append(names, partMemory, partIdle)
}

func etcdCommand() *cobra.Command {
	var f etcdFlags
	cmd := &cobra.Command{
		Use: "etcd", Short: "Measure zebu's etcd API and etcd side by side", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.execute(cmd) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.only, "only", nil, "parts to run, of "+strings.Join(etcdPartNames(), " ")+" (default all)")
	fl.IntSliceVar(&f.members, "members", []int{1, 3}, "sizes of the ensembles to measure")
	fl.BoolVar(&f.short, "short", false, "everything in small: does it run, not how fast")
	fl.IntVar(&f.revisions, "revisions", 0, "revisions that servers are filled with (default 1000000)")
	fl.IntVar(&f.rounds, "rounds", 0, "how often every load is run (default 3)")
	fl.DurationVar(&f.phase, "phase", 0, "length of a load in one round (default 1.5s)")
	fl.IntVar(&f.procs, "procs", 1, "processors that the clients use")
	fl.StringVar(&f.zebu, "zebu", "", "zebu binary to measure (default: built from this source)")
	fl.StringVar(&f.dir, "dir", "", "directory for the servers' data, on the disk to be measured (default: the system's for temporary files)")
	fl.StringVar(&f.out, "out", "", "file to write the results to, besides standard output; what was added by hand below its last line is kept")
	fl.StringVar(&f.profile, "profile", "", "directory for CPU profiles of zebu (the first server of an ensemble) under each load of a second or more")
	return cmd
}

func (f *etcdFlags) execute(cmd *cobra.Command) error {
	for _, name := range f.only {
		if !slices.Contains(etcdPartNames(), name) {
			return fmt.Errorf("--only: unknown part %q, expected one of %s", name, strings.Join(etcdPartNames(), " "))
		}
	}
	runtime.GOMAXPROCS(f.procs)
	ctx, cancel := context.WithTimeout(cmd.Context(), etcdLimit)
	defer cancel()
	b, err := f.prepare(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.progress = cmd.ErrOrStderr()
	begin := time.Now()
	for _, members := range f.members {
		if err := b.measureLoads(ctx, members); err != nil {
			return fmt.Errorf("%d servers: %w", members, err)
		}
		if err := b.measureMemory(ctx, members); err != nil {
			return fmt.Errorf("%d servers, memory: %w", members, err)
		}
	}
	if b.wants(partIdle) {
		if err := b.measureIdle(ctx); err != nil {
			return fmt.Errorf("idle gateway: %w", err)
		}
	}
	fmt.Fprintf(b.progress, "took %v\n", time.Since(begin).Round(time.Second))
	return publishText(cmd.OutOrStdout(), b.report(f.members), f.out)
}

func (f *etcdFlags) prepare(ctx context.Context) (*etcdBench, error) {
	b := &etcdBench{
		size: etcdFull, only: f.only, profiles: f.profile,
		loads: map[teamID]map[string][]*Result{}, values: map[teamID]map[string][]float64{},
	}
	if f.short {
		b.size = etcdShort
	}
	if f.revisions > 0 {
		b.size.revisions = f.revisions
	}
	if f.phase > 0 {
		b.size.phase = f.phase
	}
	if f.rounds > 0 {
		b.size.rounds = f.rounds
	}
	var err error
	if b.etcd, err = peers.Etcd(ctx, "etcd"); err != nil {
		return nil, err
	}
	if b.zebu, err = zebuMaker(ctx, f.zebu); err != nil {
		return nil, err
	}
	if f.profile != "" {
		if err := os.MkdirAll(f.profile, 0o755); err != nil {
			return nil, err
		}
	}
	b.dir, err = os.MkdirTemp(f.dir, "zebu-bench-")
	return b, err
}

func (b *etcdBench) wants(part string) bool { return len(b.only) == 0 || slices.Contains(b.only, part) }

// set keeps a measured value.
func (b *etcdBench) set(id teamID, key string, value float64) {
	if b.values[id] == nil {
		b.values[id] = map[string][]float64{}
	}
	b.values[id][key] = append(b.values[id][key], value)
	fmt.Fprintf(b.progress, "%-7v %-28s %.4g\n", id, key, value)
}

// turn returns the systems in the order of a round: each is first as often as the other.
func turn[T any](systems []T, round int) []T {
	if round%2 == 0 {
		return systems
	}
	other := slices.Clone(systems)
	slices.Reverse(other)
	return other
}

// measureLoads puts the loads on both systems, all servers of which are up, in turns.
func (b *etcdBench) measureLoads(ctx context.Context, members int) error {
	if !slices.ContainsFunc(keyLoads, func(l keyLoad) bool { return b.wants(l.part) }) {
		return nil
	}
	var teams []*keyTeam
	defer func() {
		for _, t := range teams {
			t.close()
			_ = os.RemoveAll(t.dir) // of what is a temporary directory
		}
	}()
	for _, system := range etcdSystems {
		t, err := b.startTeam(ctx, teamID{system, members}, b.profiles != "" && system == "zebu")
		if err != nil {
			return fmt.Errorf("%s: %w", system, err)
		}
		teams = append(teams, t)
		if err := t.connect(ctx); err != nil {
			return fmt.Errorf("%s: %w", system, err)
		}
		if err := t.prepareLoads(ctx, b.size.warmUp); err != nil {
			return fmt.Errorf("%s: %w", system, err)
		}
	}
	for round := range b.size.rounds {
		for i := range keyLoads {
			if !b.wants(keyLoads[i].part) {
				continue
			}
			for _, t := range turn(teams, round) {
				if err := b.measureLoad(ctx, t, &keyLoads[i]); err != nil {
					return fmt.Errorf("%s, %s: %w", t.id.system, keyLoads[i].name, err)
				}
			}
		}
	}
	return nil
}

// measureLoad puts one load on one system.
func (b *etcdBench) measureLoad(ctx context.Context, t *keyTeam, l *keyLoad) error {
	d := b.size.phase
	if l.run == nil {
		d = b.size.watch
	}
	admin := ""
	if d >= time.Second {
		admin = t.servers[0].admin
	}
	file := filepath.Join(b.profiles, fmt.Sprintf("%s-%d.pprof", strings.NewReplacer(" ", "-", ",", "").Replace(l.name), t.id.members))
	res, err := measure(t.pids(), func() (*Result, error) {
		return withProfile(ctx, admin, d, file, func() (*Result, error) {
			if l.run == nil {
				return t.watchLoad(ctx, d)
			}
			return t.drive(ctx, l, d)
		})
	})
	if err != nil {
		return err
	}
	if b.loads[t.id] == nil {
		b.loads[t.id] = map[string][]*Result{}
	}
	b.loads[t.id][l.name] = append(b.loads[t.id][l.name], res)
	fmt.Fprintf(b.progress, "%-7v %-28s %8.0f/s  CPU %6.1f us, client %6.1f us  p50 %v p99 %v\n", t.id, l.name, res.Rate(),
		res.perOp(res.ServerCPU), res.perOp(res.ClientCPU), res.Latency.Quantile(.5), res.Latency.Quantile(.99))
	return nil
}
