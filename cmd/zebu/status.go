package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// defaultPort is where ZooKeeper's clients look for a server.
const defaultPort = "2181"

// errUnhealthy ends 'zebu status' with exit code 1; the report has said why.
var errUnhealthy = errors.New("the ensemble is not as it should be")

// statusFlags say whom to ask, and how to print.
type statusFlags struct {
	output  string
	timeout time.Duration
	watch   time.Duration // 0: once
}

func newStatusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [HOST:PORT…]",
		Short: "Show role, epoch, zxid, lag and load of every server of an ensemble, and its etcd API",
		Long: `Ask servers, zebu's or Apache ZooKeeper's, what they do, all at once, and print a row for each.
Without an argument 127.0.0.1:2181 is asked; a connect string (host:port,host:port/chroot) will do as one
argument; the port is 2181 unless given.

  ROLE      leader, follower, observer, standalone; read-only (sees no quorum and serves reads alone);
            looking (up, electing or joining a leader, serves nobody); down
  EPOCH     of the zxid; a new leader begins a new one, the others show it from its first write on
  ZXID      of the last transaction applied
  LAG       transactions of the leader's epoch that the server has not applied yet; under load the servers
            are not asked at quite the same moment
  CONNS     client connections, the one that asks included
  SESSIONS  of the whole ensemble, as this server knows it
  LATENCY   of requests, in ms, least/average/most since the start or the last srst

Servers with the etcd API have a second row:

  REVISION  of the key space, the same on all servers but for LAG
  COMPACTED the revision at which it was compacted last
  DB SIZE   of the files on this server's disk
  IN USE    of keys, values and their history, which QUOTA bounds
  WATCHERS  of this server's etcd clients
  LEASES    of the whole ensemble

All this comes from four-letter words on the client port: srvr, which every server answers, then mntr for
SESSIONS and the etcd API, and conf for ID. These two have to be in the servers' 4lw.commands.whitelist: what is not to be
had is "-".

Exit codes: 0 every server serves, and exactly one of them leads (or there is one and it is standalone);
1 not so, and what is wrong stands below the table; 2 invalid invocation. With --watch, of the last look.`,
		Example: `  zebu status zk1 zk2 zk3
  zebu status zk1:2181,zk2:2181,zk3:2181 --watch
  zebu status 127.0.0.1:2181 127.0.0.1:2182 127.0.0.1:2183 -o json | jq -r .leader`,
		RunE: func(cmd *cobra.Command, args []string) error {
			addrs, err := addresses(args)
			if err == nil {
				err = f.check()
			}
			if err != nil {
				return &exitError{exitInvalid, usageError{cmd, err}}
			}
			return f.run(cmd.Context(), cmd.OutOrStdout(), addrs)
		},
	}
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "how to print: table or json (with --watch: one object a line)")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 2*time.Second, "how long to wait for a server")
	cmd.Flags().DurationVarP(&f.watch, "watch", "w", 0, "look again and again until Ctrl-C, every 2s or --watch=INTERVAL")
	cmd.Flags().Lookup("watch").NoOptDefVal = "2s"
	return cmd
}

func (f *statusFlags) check() error {
	switch {
	case f.output != "table" && f.output != "json":
		return fmt.Errorf("--output %s: expected table or json", f.output)
	case f.timeout <= 0:
		return fmt.Errorf("--timeout %v: expected a time above 0", f.timeout)
	case f.watch < 0:
		return fmt.Errorf("--watch=%v: expected a time above 0", f.watch)
	}
	return nil
}

// run prints the report, once or until a signal or the end of ctx.
func (f *statusFlags) run(ctx context.Context, out io.Writer, addrs []string) error {
	if ctx == nil {
		ctx = context.Background()
	}
	if f.watch == 0 {
		e := ask(ctx, addrs, f.timeout)
		return errors.Join(f.print(out, e), e.err())
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	again := time.NewTicker(f.watch)
	defer again.Stop()
	var last error
	for {
		e := ask(ctx, addrs, f.timeout)
		if ctx.Err() != nil {
			return last // what came after the signal tells of the signal
		}
		if err := f.print(out, e); err != nil {
			return err
		}
		last = e.err()
		select {
		case <-ctx.Done():
			return last
		case <-again.C:
		}
	}
}

// print writes a report: on a terminal that is being watched over the one before, elsewhere below it.
func (f *statusFlags) print(out io.Writer, e *ensembleStatus) error {
	if f.output == "json" {
		return e.writeJSON(out, f.watch == 0)
	}
	var b strings.Builder
	if f.watch > 0 {
		fmt.Fprintf(&b, "%s  every %v, Ctrl-C ends\n\n", time.Now().Format("15:04:05"), f.watch)
	}
	e.writeTable(&b)
	text := b.String()
	switch {
	case f.watch == 0:
	case isTerminal(out):
		// Home, every line cleared to its end, then the rest of the screen: no flicker as clearing it first would make.
		text = "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
	default:
		text += "\n"
	}
	_, err := io.WriteString(out, text)
	return err
}

// isTerminal says whether w is a terminal, or another device that does no harm.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// addresses are the servers that arguments name, each once, in their order.
func addresses(args []string) ([]string, error) {
	if len(args) == 0 {
		return []string{net.JoinHostPort("127.0.0.1", defaultPort)}, nil
	}
	var addrs []string
	for _, arg := range args {
		servers, _, _ := strings.Cut(arg, "/") // a client's chroot
		for server := range strings.SplitSeq(servers, ",") {
			addr, err := address(strings.TrimSpace(server))
			if err != nil {
				return nil, fmt.Errorf("%q: %w", arg, err)
			}
			if !slices.Contains(addrs, addr) {
				addrs = append(addrs, addr)
			}
		}
	}
	return addrs, nil
}

// address completes HOST, HOST:PORT, [IPV6] or [IPV6]:PORT.
func address(server string) (string, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		bare := strings.TrimSuffix(strings.TrimPrefix(server, "["), "]")
		if strings.Contains(bare, ":") && net.ParseIP(bare) == nil {
			return "", errors.New("expected HOST:PORT, an IPv6 address in brackets")
		}
		host, port = bare, defaultPort
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n < 1 || host == "" {
		return "", errors.New("expected HOST:PORT")
	}
	return net.JoinHostPort(host, port), nil
}
