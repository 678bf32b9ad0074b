package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"zebu/internal/vfs"
)

// ensembleFlags are the flags of 'zebu ensemble'.
type ensembleFlags struct {
	servers, observers int
	dir                string
	basePort           int
}

func newEnsembleCommand() *cobra.Command {
	var f ensembleFlags
	cmd := &cobra.Command{
		Use:   "ensemble",
		Short: "Run a whole ensemble on this machine, for trying things out",
		Long: `Run several servers as an ensemble on this machine's loopback, each a process of its own, until Ctrl-C
or SIGTERM, which stop them all. It is for trying things out: connect a client, kill the leader, see another
take over. An ensemble that is to survive the loss of a machine has each server on its own.

It prints the connect string, then every change of a server's role. Commands are read from standard input:

  status     show role, zxid, lag and load of every server, as 'zebu status' does
  kill N     end server N as kill -9 would; its pid is printed, so that you can do it yourself, or
             suspend it with kill -STOP and resume it with kill -CONT
  stop N     stop server N as SIGTERM would
  start N    start server N again on the data that it has
  quit       stop all; so does Ctrl-C. N is a server's number, or "leader"

A majority of the servers has to run: of 3 one may be lost, of 5 two. Observers come on top, serve clients
and have no vote.

Each server has its directory in DIR: N/zoo.cfg, N/data and N/zebu.log. Another run with the same DIR goes on
with the data, the number of servers and, if they are free, the ports. The ports are consecutive: one for the
clients of each server from the base port on, then the servers' own. Without --base-port they begin at 2181,
or at the first of 2281, 2381, ... from where all are free. Java options for all servers (-Dname=value) come
from the environment variable SERVER_JVMFLAGS, as for 'zebu server'.`,
		Example: `  zebu ensemble
  zebu ensemble --servers 5 --observers 1 --dir "$(mktemp -d)"
  zebu ensemble --servers 1 --base-port 21810   # one server is a standalone one
  zebu cli --server 127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd)
		},
	}
	cmd.Flags().IntVar(&f.servers, "servers", 3, "how many servers vote")
	cmd.Flags().IntVar(&f.observers, "observers", 0, "how many observers there are besides")
	cmd.Flags().StringVar(&f.dir, "dir", "zebu-ensemble", "where configurations, data and logs are kept")
	cmd.Flags().IntVar(&f.basePort, "base-port", 0, "the first port (default 2181, or where ports are free)")
	return cmd
}

func (f *ensembleFlags) run(cmd *cobra.Command) error {
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return &exitError{exitInvalid, usageError{cmd, err}}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return &exitError{exitDataDir, err}
	}
	lock, err := vfs.OS.Lock(filepath.Join(dir, "ensemble.lock"))
	if errors.Is(err, vfs.ErrLocked) {
		return &exitError{exitDataDir, fmt.Errorf("%s: another 'zebu ensemble' runs there; --dir takes another", dir)}
	} else if err != nil {
		return &exitError{exitDataDir, err}
	}
	defer lock.Close()
	l, err := f.lay(dir, cmd.Flags().Changed)
	if err != nil {
		return err
	}
	if err := l.write(); err != nil {
		return &exitError{exitDataDir, err}
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	allowBackground()
	server := func(config string) *exec.Cmd { return exec.Command(binary, "server", "--config", config) }
	return newEnsemble(l, server, cmd.OutOrStdout()).run(ctx, readLines(ctx, cmd.InOrStdin()))
}

func (f *ensembleFlags) check() error {
	switch {
	case f.servers < 1:
		return fmt.Errorf("--servers %d: expected 1 or more", f.servers)
	case f.observers < 0:
		return fmt.Errorf("--observers %d: expected 0 or more", f.observers)
	case f.servers > maxServers || f.observers > maxServers-f.servers:
		return fmt.Errorf("%d servers and %d observers: expected %d in all at most", f.servers, f.observers, maxServers)
	}
	l := layout{voters: f.servers, observers: f.observers}
	if last := 65536 - l.ports(); f.basePort < 0 || f.basePort > last {
		return fmt.Errorf("--base-port %d: expected 1 to %d, for %d ports", f.basePort, last, l.ports())
	}
	return nil
}

// lay chooses the layout: that of an earlier run in dir as far as the flags, of which given tells, do not say otherwise.
func (f *ensembleFlags) lay(dir string, given func(flag string) bool) (*layout, error) {
	before, err := earlier(dir)
	if err != nil {
		return nil, &exitError{exitDataDir, err}
	}
	l, port := &layout{dir: dir, voters: f.servers, observers: f.observers}, 0
	if before != nil {
		port = before.base
		if !given("servers") {
			l.voters = before.voters
		}
		if !given("observers") {
			l.observers = before.observers
		}
		if l.voters != before.voters {
			return nil, &exitError{exitInvalid, fmt.Errorf("%s holds data of %d voting servers, not %d: a quorum of these might not know "+
				"what those acknowledged. Take another --dir, or remove this one", dir, before.voters, l.voters)}
		}
	}
	if err := l.choosePorts(f.basePort, port); err != nil {
		return nil, &exitError{exitPort, err}
	}
	return l, nil
}

// describe says how many servers there are, and how many of them may be lost.
func (l *layout) describe() string {
	text := fmt.Sprintf("An ensemble of %d servers", l.voters)
	if l.voters == 1 {
		text = "One server"
	}
	switch {
	case l.observers == 1:
		text += " and an observer"
	case l.observers > 1:
		text += fmt.Sprintf(" and %d observers", l.observers)
	}
	if lost := (l.voters - 1) / 2; l.voters%2 == 0 {
		text += fmt.Sprintf(" (of which %d may be lost, as of %d: an even number gains nothing)", lost, l.voters-1)
	} else if l.voters > 1 {
		text += fmt.Sprintf(" (of which %d may be lost)", lost)
	}
	return text
}
