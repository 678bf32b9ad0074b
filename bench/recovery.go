package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"zebu/internal/freeport"
	"zebu/internal/peers"
	"zebu/proto"
)

// recoverySettings are what a server of an ensemble needs: tickTime is what the target names, and there are no defaults for
// the other two. All else is the default.
var recoverySettings = []string{"tickTime=2000", "initLimit=10", "syncLimit=5"}

const (
	recoveryMembers = 3
	recoveryWriters = 4 // to each member
	recoveryDepth   = 4 // writes of one writer in flight
	recoveryRetry   = 2 * time.Millisecond
	recoveryLoad    = time.Second // before the leader is killed
	recoveryTimeout = time.Minute // until a write is acknowledged again
)

// recovery measures how long an ensemble acknowledges nothing after its leader was killed.
type recovery struct {
	dir      string
	progress io.Writer
	teams    []*survivors
}

// survivors is an ensemble whose leader is killed again and again.
type survivors struct {
	maker   *contestant
	servers []*peers.Server
	gaps    []time.Duration
}

func recoveryCommand() *cobra.Command {
	var rounds int
	var zebu, dir, out string
	cmd := &cobra.Command{
		Use: "recovery", Short: "Measure how long ensembles take no writes after their leader was killed", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			makers, err := contestants(cmd.Context(), []string{"zebu", "apache"}, zebu)
			if err != nil {
				return err
			}
			r := &recovery{progress: cmd.ErrOrStderr()}
			if r.dir, err = os.MkdirTemp(dir, "zebu-bench-"); err != nil {
				return err
			}
			defer os.RemoveAll(r.dir)
			if err := r.run(cmd.Context(), makers, rounds); err != nil {
				return err
			}
			return publishText(cmd.OutOrStdout(), r.report(), out)
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&rounds, "rounds", 9, "how often each leader is killed")
	fl.StringVar(&zebu, "zebu", "", "zebu binary to measure (default: built from this source)")
	fl.StringVar(&dir, "dir", "", "directory for the servers' data (default: the system's for temporary files)")
	fl.StringVar(&out, "out", "", "file to write the results to, besides standard output; what was added by hand below its last line is kept")
	return cmd
}

// run has all ensembles up, and kills their leaders in turns.
func (r *recovery) run(ctx context.Context, makers []*contestant, rounds int) error {
	defer func() {
		for _, t := range r.teams {
			for _, s := range t.servers {
				s.Kill()
			}
		}
	}()
	for _, m := range makers {
		t := &survivors{maker: m}
		r.teams = append(r.teams, t)
		if err := t.start(ctx, filepath.Join(r.dir, m.name)); err != nil {
			return fmt.Errorf("ensemble of %s: %w", m.name, err)
		}
	}
	for range rounds {
		for _, t := range r.teams {
			gap, err := t.round(ctx)
			if err != nil {
				return fmt.Errorf("ensemble of %s: %w", t.maker.name, err)
			}
			t.gaps = append(t.gaps, gap)
			fmt.Fprintf(r.progress, "%-7s %v\n", t.maker.name, gap.Round(time.Millisecond))
		}
	}
	return nil
}

func (t *survivors) start(ctx context.Context, dir string) error {
	lines := slices.Clone(recoverySettings)
	for i := range recoveryMembers {
		quorum, err := freeport.Next()
		if err != nil {
			return err
		}
		election, err := freeport.Next()
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("server.%d=127.0.0.1:%d:%d", i+1, quorum, election))
	}
	for i := range recoveryMembers {
		cfg := peers.Config{Dir: filepath.Join(dir, strconv.Itoa(i+1)), Extra: lines}
		data := filepath.Join(cfg.Dir, "data")
		if err := os.MkdirAll(data, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(data, "myid"), fmt.Appendln(nil, i+1), 0o644); err != nil {
			return err
		}
		s, err := peers.Launch(t.maker.Maker, cfg)
		if err != nil {
			return err
		}
		t.servers = append(t.servers, s)
	}
	if err := t.await(ctx); err != nil {
		return err
	}
	t.maker.version = reportedVersion(t.servers[0].Addr)
	c, err := dial(t.servers[0].Addr)
	if err != nil {
		return err
	}
	defer c.drop()
	return c.makeNode(root)
}

// await waits until all members serve.
func (t *survivors) await(ctx context.Context) error {
	for _, s := range t.servers {
		if err := s.AwaitServing(ctx); err != nil {
			return fmt.Errorf("%w; its log ends:\n%s", err, s.LogTail(20))
		}
	}
	return nil
}

// leader returns the index of the member that leads.
func (t *survivors) leader() (int, error) {
	for i, s := range t.servers {
		if text, err := peers.FourLetterWord(s.Addr, "srvr"); err == nil && strings.Contains(text, "Mode: leader\n") {
			return i, nil
		}
	}
	return 0, errors.New("nobody leads")
}

// round kills the leader under load and starts it again. It returns the time from the kill to the first acknowledgement of a
// write that was sent on a connection made since: what comes on older ones may have been decided before.
func (t *survivors) round(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, recoveryTimeout)
	defer cancel()
	leader, err := t.leader()
	if err != nil {
		return 0, err
	}
	w := &writers{stop: make(chan struct{}), first: make(chan time.Time, 1)}
	for i := range recoveryMembers * recoveryWriters {
		w.running.Go(func() { w.write(t.servers, i) })
	}
	defer func() {
		close(w.stop)
		w.running.Wait()
	}()
	select {
	case <-time.After(recoveryLoad):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	killed := w.begin()
	t.servers[leader].Kill()
	var gap time.Duration
	select {
	case first := <-w.first:
		gap = first.Sub(killed)
	case <-ctx.Done():
		return 0, errors.New("no write was acknowledged after the leader's death")
	}
	old := t.servers[leader]
	cfg := old.Config
	_, port, err := net.SplitHostPort(old.Addr)
	if err != nil {
		return 0, err
	}
	if cfg.Port, err = strconv.Atoi(port); err != nil {
		return 0, err
	}
	if t.servers[leader], err = peers.Launch(t.maker.Maker, cfg); err != nil {
		return 0, err
	}
	return gap, t.await(ctx)
}

// writers keep writes in flight to whoever takes them.
type writers struct {
	stop    chan struct{}
	first   chan time.Time // when the first write that counts was acknowledged
	running sync.WaitGroup

	mu     sync.Mutex
	killed time.Time // connections made later count
}

func (w *writers) begin() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killed = time.Now()
	return w.killed
}

func (w *writers) counts(dialed time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.killed.IsZero() && dialed.After(w.killed)
}

// write goes from one member to the next, as clients do, and stays where its writes are acknowledged.
func (w *writers) write(servers []*peers.Server, n int) {
	addrs := make([]string, len(servers))
	for i, s := range servers {
		addrs[i] = s.Addr
	}
	for ; ; n++ {
		select {
		case <-w.stop:
			return
		case <-time.After(recoveryRetry):
		}
		dialed := time.Now()
		c, err := dial(addrs[n%len(addrs)])
		if err != nil {
			continue // the member is down, or has no leader
		}
		w.load(c, dialed)
		c.drop()
	}
}

// load writes until the connection breaks or the round is over.
func (w *writers) load(c *conn, dialed time.Time) {
	req := proto.SetDataRequest{Path: root, Data: make([]byte, dataSize), Version: -1}
	for sent, done := 0, 0; ; done++ {
		for ; sent-done < recoveryDepth; sent++ {
			mark := c.begin(proto.OpSetData)
			c.out = req.Append(c.out)
			c.end(mark)
		}
		if err := c.nc.SetDeadline(time.Now().Add(callTimeout)); err != nil {
			return
		}
		if err := c.flush(); err != nil {
			return
		}
		frame, err := c.await()
		if err != nil {
			return
		}
		if code, _, err := c.settle(frame); code != proto.OK || err != nil {
			return
		}
		if w.counts(dialed) {
			select {
			case w.first <- time.Now():
			default:
			}
		}
		select {
		case <-w.stop:
			return
		default:
		}
	}
}

// report renders the result as Markdown.
func (r *recovery) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Recovery from the death of a leader\n\nWritten by `go run ./bench recovery --out bench/RECOVERY.md` on %s.\n\n", time.Now().UTC().Format("2 January 2006"))
	fmt.Fprintf(&b, "Machine: %s; all servers and clients on it.\n", describeMachine(r.dir))
	fmt.Fprintf(&b, "Ensembles of three, %s, all else the default; %d connections, each with %d sets in flight and a new session on another\n",
		strings.Join(recoverySettings, ", "), recoveryMembers*recoveryWriters, recoveryDepth)
	fmt.Fprintf(&b, "member as soon as one breaks. The leader is killed with SIGKILL, %d times each, in turns. Time from there to the first\n", len(r.teams[0].gaps))
	b.WriteString("acknowledgement of a write on a connection that was made since, in milliseconds:\n\n")
	b.WriteString("| | median | least | most |\n|---|---:|---:|---:|\n")
	var medians []float64
	for _, t := range r.teams {
		gaps := slices.Sorted(slices.Values(t.gaps))
		medians = append(medians, millis(gaps[len(gaps)/2]))
		name := t.maker.name
		if name == "apache" {
			name = "Apache ZooKeeper " + t.maker.version
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, number(millis(gaps[len(gaps)/2])), number(millis(gaps[0])), number(millis(gaps[len(gaps)-1])))
	}
	met := "met"
	ratio := medians[0] / medians[1]
	if ratio > .5 {
		met = "**not met**"
	}
	fmt.Fprintf(&b, "\nRatio of the medians: %s; target <= 0.5: %s.\n\n%s\n", number(ratio), met, notesMark)
	return b.String()
}
