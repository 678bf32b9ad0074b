package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"zebu/mirror"
	"zebu/proto"
)

// Exit codes of 'zebu copy' besides 0 to 2; the same as those of 'zebu cli'.
const (
	exitNoNode      = 3
	exitUnreachable = 6
	exitInterrupted = 130
)

// copyFlags are the command's.
type copyFlags struct {
	o                     mirror.Options
	acl, output           string
	srcAuth, dstAuth      []string
	srcTLS, dstTLS        mirror.TLS
	verify, follow, quiet bool
	rescan, patience      time.Duration
	warned                int
	how                   string
}

func newCopyCommand() *cobra.Command {
	var f copyFlags
	cmd := &cobra.Command{
		Use:   "copy SRC DST",
		Short: "Copy a tree between clusters, compare two, or keep one a copy of the other",
		Long: `Copy a tree of nodes from one cluster to another while both are in use. Either end is

  zk://HOST:PORT,…/path      a path of a ZooKeeper or zebu cluster; zk:// may be left out
  etcd://HOST:PORT,…/prefix  a prefix of etcd keys: the node /a/b below the other end is the key /prefix/a/b
  etcds://…                  the same over TLS: --src-cacert, --src-cert and --src-key are for the source, --dst-… for
                             the destination, and mean what etcdctl's --cacert, --cert and --key do

Only what differs is written, so that a copy that was interrupted is resumed by running it again. It is no snapshot:
every node is copied as it was when it was read, and the destination is equal when the source has been quiet for a
moment. What the source does not have stays at the destination unless --delete is given.

Copied are persistent nodes, their data and their ACLs. Ephemeral nodes (etcd: keys with a lease) belong to their
sessions and are left out, and so is /zookeeper. Containers and nodes with a TTL become plain ones, since the protocol does
not tell them apart, and counters of sequential nodes start anew. docs/copy.md says more.

Progress and what went wrong go to standard error; standard output has what --dry-run would do, what --verify has
found, and with -o json the summary.

Exit codes: 0 copied, or equal; 1 differences were found, or some nodes could not be copied; 2 wrong invocation;
3 the source does not exist; 6 an end is out of reach; 130 interrupted before the copy was complete. Ctrl-C ends
--follow with 0.`,
		Example: `  zebu copy zk1:2181,zk2:2181/app new1:2181/app                # and again, to copy what has changed since
  zebu copy zk1/app new1/app --follow                          # until Ctrl-C: move the clients meanwhile
  zebu copy zk1/app new1/app --verify                          # compare: exit code 1 if they differ
  zebu copy zk1/ new1/ --exclude '/brokers/ids/**' --dry-run
  zebu copy zk1/config etcd://etcd1:2379/config
  zebu copy zk1/config etcds://etcd1:2379/config --dst-cacert ca.pem --dst-cert me.pem --dst-key me.key`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.parse(args); err != nil {
				return &exitError{exitInvalid, usageError{cmd, err}}
			}
			if f.follow && !cmd.Flags().Changed("patience") {
				f.o.Patience = forever
			}
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(2)(cmd, args); err != nil {
			return &exitError{exitInvalid, usageError{cmd, err}}
		}
		return nil
	}
	flags := cmd.Flags()
	flags.StringVar(&f.acl, "acl", "copy", "access control lists: copy them, give all nodes the open one, or skip them (new nodes get the open one)")
	flags.BoolVar(&f.o.Ephemerals, "ephemerals", false, "copy ephemeral nodes (etcd: keys with a lease) too, as persistent ones")
	flags.StringArrayVar(&f.o.Include, "include", nil, "copy only what matches this pattern, and what is below it; may be repeated")
	flags.StringArrayVar(&f.o.Exclude, "exclude", nil, "leave out what matches this pattern, and what is below it; may be repeated")
	flags.BoolVar(&f.o.Delete, "delete", false, "delete what the destination has and the source does not have")
	flags.BoolVarP(&f.o.DryRun, "dry-run", "n", false, "say what would be done, and do nothing")
	flags.BoolVar(&f.verify, "verify", false, "compare the ends and list the differences, instead of copying")
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on copying what changes, deletions too, until Ctrl-C")
	flags.DurationVar(&f.rescan, "rescan", 0, "with --follow: also compare everything this often; changes of ACLs are seen only so")
	flags.StringArrayVar(&f.srcAuth, "src-auth", nil, "SCHEME:CREDENTIALS for the source, or @FILE with that in it; may be repeated. For etcd USER:PASSWORD, once")
	flags.StringArrayVar(&f.dstAuth, "dst-auth", nil, "the same for the destination")
	tlsFlags(cmd, "src", "source", &f.srcTLS)
	tlsFlags(cmd, "dst", "destination", &f.dstTLS)
	flags.IntVar(&f.o.Concurrency, "concurrency", 128, "how many nodes are read at a time")
	flags.DurationVar(&f.patience, "patience", time.Minute, "how long an end that was lost is waited for; with --follow for ever unless given")
	flags.StringVarP(&f.output, "output", "o", "text", "how to print: text or json")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no progress")
	f.how = "copy"
	return cmd
}

// parse checks the invocation.
func (f *copyFlags) parse(args []string) (err error) {
	if f.o.Source, err = mirror.ParseLocation(args[0]); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	if f.o.Destination, err = mirror.ParseLocation(args[1]); err != nil {
		return fmt.Errorf("destination: %w", err)
	}
	if f.o.SourceAuth, err = identify("src", &f.o.Source, f.srcAuth, f.srcTLS); err == nil {
		f.o.DestinationAuth, err = identify("dst", &f.o.Destination, f.dstAuth, f.dstTLS)
	}
	f.o.ACL = mirror.ACLPolicy(f.acl)
	f.o.Patience = f.patience
	switch {
	case err != nil:
	case f.acl != "copy" && f.acl != "open" && f.acl != "skip":
		err = fmt.Errorf("--acl=%s: expected copy, open or skip", f.acl)
	case f.output != "text" && f.output != "json":
		err = fmt.Errorf("--output %s: expected text or json", f.output)
	case f.follow && (f.verify || f.o.DryRun), f.verify && f.o.DryRun:
		err = errors.New("--follow, --verify and --dry-run exclude each other")
	case f.rescan != 0 && !f.follow:
		err = errors.New("--rescan goes with --follow")
	case f.o.Concurrency < 1 || f.o.Concurrency > 10000:
		err = fmt.Errorf("--concurrency %d: expected 1 to 10000", f.o.Concurrency)
	case f.patience < 0 || f.rescan < 0:
		err = errors.New("--patience and --rescan must not be negative")
	}
	switch {
	case f.verify:
		f.how = "verify"
	case f.follow:
		f.how = "follow"
	case f.o.DryRun:
		f.how = "dry-run"
	}
	return err
}

// forever is how long --follow waits for a lost end.
const forever = 100 * 365 * 24 * time.Hour

// maxWarnings is how many nodes that could not be copied are named.
const maxWarnings = 50

// run does it. A first Ctrl-C ends it in order, a second one at once.
func (f *copyFlags) run(ctx context.Context, out, errs io.Writer) error {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop)
	p := &copyProgress{w: errs, terminal: isTerminal(errs), quiet: f.quiet, how: f.how, began: time.Now()}
	f.o.Report = func(s mirror.Step) { f.step(out, p, s) }
	f.o.Warn = func(path string, err error) {
		if f.warned++; f.warned <= maxWarnings {
			p.line(fmt.Sprintf("zebu: %s: %v%s", path, err, copyHint(err)))
		} else if f.warned == maxWarnings+1 {
			p.line("zebu: more nodes failed; they are counted, not named")
		}
	}
	m, err := mirror.Open(ctx, f.o)
	if err != nil {
		return copyError(ctx, err)
	}
	defer m.Close()
	shown := make(chan struct{})
	showing, hide := context.WithCancel(ctx)
	go func() {
		defer close(shown)
		p.show(showing, m.Progress)
	}()
	switch {
	case f.verify:
		err = m.Compare(ctx)
	case f.follow:
		err = m.Follow(ctx, f.rescan)
	default:
		err = m.Copy(ctx)
	}
	hide()
	<-shown
	return f.finish(ctx, out, p, m.Progress(), err)
}

// step prints what a dry run would do, or a difference.
func (f *copyFlags) step(out io.Writer, p *copyProgress, s mirror.Step) {
	p.clear()
	if f.output == "json" {
		_ = json.NewEncoder(out).Encode(s) // the summary's error tells
		return
	}
	fmt.Fprintf(out, "%-8s %s\n", s.What, s.Path)
}

// copySummary is what -o json prints in the end.
type copySummary struct {
	Mode        string `json:"mode"`
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Result      string `json:"result"` // done, equal, different, incomplete, interrupted, failed
	Error       string `json:"error,omitempty"`
	ElapsedMS   int64  `json:"elapsed_ms"`
	mirror.Progress
}

// finish prints the summary and makes the exit code.
func (f *copyFlags) finish(ctx context.Context, out io.Writer, p *copyProgress, done mirror.Progress, err error) error {
	s := copySummary{
		Mode: f.how, Source: f.o.Source.String(), Destination: f.o.Destination.String(), Result: "done",
		ElapsedMS: time.Since(p.began).Milliseconds(), Progress: done,
	}
	code := 0
	switch {
	case err != nil && ctx.Err() != nil:
		s.Result, code = "interrupted", exitInterrupted
	case err != nil:
		s.Result, s.Error = "failed", err.Error()
	case done.Failed > 0:
		s.Result, code = "incomplete", exitUnexpected
	case f.verify && done.Differences > 0:
		s.Result, code = "different", exitUnexpected
	case f.verify:
		s.Result = "equal"
	}
	if err == nil || done.Visited > 0 {
		p.line(summaryText(s))
	}
	if f.output == "json" {
		if werr := json.NewEncoder(out).Encode(s); werr != nil {
			err = errors.Join(err, werr)
		}
	}
	if code != 0 {
		return &exitError{code, errTold}
	}
	return copyError(ctx, err)
}

// copyError gives an error its exit code.
func copyError(ctx context.Context, err error) error {
	var option *mirror.OptionError
	var end *mirror.EndError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, errors.New("interrupted")}
	case errors.As(err, &option):
		return &exitError{exitInvalid, err}
	case errors.Is(err, mirror.ErrNoSource):
		return &exitError{exitNoNode, err}
	case errors.As(err, &end):
		err = fmt.Errorf("%w%s", err, endHint(end))
	}
	if errors.Is(err, proto.ErrConnectionLoss) || mirror.Unreachable(err) {
		return &exitError{exitUnreachable, err}
	}
	return err
}
