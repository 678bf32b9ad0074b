package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"zebu/proto"
)

// tree is a server's (or an ensemble's) nodes and the connections that work on them.
type tree struct {
	*pool
	space    *space
	keys     int // nodes filled in
	dataSize int
	seed     uint64
}

// openTree connects and makes the root.
func openTree(ctx context.Context, addrs []string, connections, dataSize int, seed uint64) (*tree, error) {
	p, err := dialPool(ctx, addrs, connections)
	if err != nil {
		return nil, err
	}
	if err := p.conns[0].makeNode(root); err != nil {
		p.close()
		return nil, err
	}
	return &tree{pool: p, space: new(space), dataSize: dataSize, seed: seed}, nil
}

// data returns the contents of a node: of the size asked for, and not compressible to nothing.
func (t *tree) data() []byte {
	b := make([]byte, t.dataSize)
	rng := rand.New(rand.NewPCG(t.seed, 0))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// fill creates nodes 0 to keys-1. Nodes that a run before this one left are no error.
func (t *tree) fill(ctx context.Context, keys int) (*Result, error) {
	sources := make([]source, len(t.conns))
	for i := range sources {
		sources[i] = &filler{keys: keys, data: t.data(), tree: t.space}
	}
	t.space.dirs.Store(0)
	res, err := t.run(ctx, Run{Depth: 64, Accept: proto.ErrNodeExists}, sources)
	if err == nil {
		err = complete(ctx, res)
	}
	t.space.dirs.Store(int64((keys + perDir - 1) / perDir)) // each connection also took one to see that none was left
	t.keys = keys
	return res, err
}

// mixed runs m on t.
func (t *tree) mixed(ctx context.Context, m Mix, r Run) (*Result, error) {
	sources := make([]source, len(t.conns))
	for i := range sources {
		sources[i] = &mixed{
			mix: m, keys: max(t.keys, 1), data: t.data(), tree: t.space, rng: rand.NewPCG(t.seed, uint64(i)),
		}
	}
	return t.run(ctx, r, sources)
}

// complete returns an error if res is that of a run which had to come to its end and did not, or in which requests
// failed.
func complete(ctx context.Context, res *Result) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if res.Errors > 0 {
		return fmt.Errorf("%d of %d requests failed, the first with %w", res.Errors, res.Ops, res.FirstErr)
	}
	return nil
}

// loadFlags are the flags of the load command.
type loadFlags struct {
	servers     []string
	pids        []int
	connections int
	dataSize    int
	keys        int
	seed        uint64
	mix         Mix
	run         Run
	warmUp      time.Duration
	admin       string
	profile     string
}

func loadCommand() *cobra.Command {
	f := loadFlags{mix: only(opGet)}
	cmd := &cobra.Command{
		Use: "load", Short: "Put one load on running servers", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.execute(cmd.Context(), cmd.OutOrStdout()) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.servers, "servers", []string{"127.0.0.1:2181"}, "client addresses; connections are spread over them")
	fl.IntSliceVar(&f.pids, "pids", nil, "process ids of the servers, to report their CPU time and memory")
	fl.IntVar(&f.connections, "connections", 16, "client connections")
	fl.IntVar(&f.run.Depth, "depth", 16, "requests in flight on each connection")
	fl.IntVar(&f.dataSize, "size", 100, "bytes of data in a node")
	fl.Var(&f.mix, "mix", `weights of get, set, create, delete, children, exists, such as "get=90,set=10"`)
	fl.IntVar(&f.keys, "keys", 10000, "nodes to create first, which the load then works on")
	fl.DurationVar(&f.run.Duration, "duration", 10*time.Second, "length of the measurement")
	fl.Int64Var(&f.run.Ops, "ops", 0, "end after so many requests (0: no such bound)")
	fl.IntVar(&f.run.Rate, "rate", 0, "requests a second, sent at fixed times (0: as fast as answers come)")
	fl.DurationVar(&f.warmUp, "warm-up", 2*time.Second, "length of the same load before the measurement")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of the random choices")
	fl.StringVar(&f.profile, "profile", "", "directory for a CPU profile of the server; needs --admin")
	fl.StringVar(&f.admin, "admin", "", "address of the server's admin port, with profiling enabled")
	cmd.MarkFlagsRequiredTogether("profile", "admin")
	return cmd
}

func (f *loadFlags) execute(ctx context.Context, out io.Writer) error {
	if f.connections < 1 || f.keys < 1 || len(f.servers) == 0 {
		return fmt.Errorf("--connections, --keys and --servers must not be empty")
	}
	t, err := openTree(ctx, f.servers, f.connections, f.dataSize, f.seed)
	if err != nil {
		return err
	}
	defer t.close()
	res, err := t.fill(ctx, f.keys)
	if err != nil {
		return fmt.Errorf("create the nodes: %w", err)
	}
	fmt.Fprintf(out, "created %d nodes at %.0f/s\n", f.keys, res.Rate())
	if f.warmUp > 0 {
		if _, err := t.mixed(ctx, f.mix, Run{Depth: f.run.Depth, Duration: f.warmUp}); err != nil {
			return fmt.Errorf("warm-up: %w", err)
		}
	}
	res, err = measure(f.pids, func() (*Result, error) {
		return withProfile(ctx, f.admin, f.run.Duration, filepath.Join(f.profile, "load.pprof"),
			func() (*Result, error) { return t.mixed(ctx, f.mix, f.run) })
	})
	if err != nil {
		return err
	}
	return f.report(out, res)
}

// withProfile runs load while the server with the given admin address, if any, is profiled for d.
func withProfile(ctx context.Context, admin string, d time.Duration, file string, load func() (*Result, error)) (*Result, error) {
	if admin == "" {
		return load()
	}
	saved := make(chan error, 1)
	go func() { saved <- saveProfile(ctx, admin, d, file) }()
	res, err := load()
	if saveErr := <-saved; err == nil {
		err = saveErr
	}
	return res, err
}

func (f *loadFlags) report(out io.Writer, r *Result) error {
	fmt.Fprintf(out, "%v: %d requests in %v, %.0f/s", &f.mix, r.Ops, r.Elapsed.Round(time.Millisecond), r.Rate())
	if r.Errors > 0 {
		fmt.Fprintf(out, ", %d failed, the first with %v", r.Errors, r.FirstErr)
	}
	fmt.Fprintf(out, "\nlatency p50 %v p90 %v p99 %v p99.9 %v max %v\n", r.Latency.Quantile(.5), r.Latency.Quantile(.9),
		r.Latency.Quantile(.99), r.Latency.Quantile(.999), r.Latency.Max())
	fmt.Fprintf(out, "CPU per request: generator %.2f us", r.perOp(r.ClientCPU))
	if len(f.pids) > 0 {
		fmt.Fprintf(out, ", servers %.2f us", r.perOp(r.ServerCPU))
	}
	fmt.Fprintln(out)
	for _, pid := range f.pids {
		m, err := memoryOf(pid)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "process %d: resident %d MB, at most %d MB\n", pid, m.rss/1e6, m.peak/1e6)
	}
	return nil
}
