package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"zebu/conf"
	"zebu/server"
)

func newFromEtcdCommand() *cobra.Command {
	var config configFlags
	cmd := &cobra.Command{
		Use:   "from-etcd SNAPSHOT DIR",
		Short: "Make a data directory with the keys of an etcd, from a file of 'etcdctl snapshot save'",
		Long: `Make DIR, in which no server has worked yet, a data directory whose etcd key space is that of SNAPSHOT, a file
that 'etcdctl snapshot save' has written, of an etcd or a zebu: with all keys and their revisions since the
last compaction, leases, users and roles. Members stay behind, and there are no znodes yet. The check sum
at the end of the file must be right.

For an ensemble run it for each server, with its zoo.cfg and the same file; myid is written if there is
none. Start the servers when all directories are made: those whose directories are empty would elect one
of themselves if they were a majority. From the start on, Apache ZooKeeper servers are not let in.

DIR may be the dataDir of zoo.cfg already, with nothing but myid in it. Without --config the directory is
that of a server without a file.

Exit codes: 0 done, 1 not done, 2 invalid invocation or configuration.`,
		Example: `  etcdctl snapshot save etcd.db
  zebu datadir from-etcd etcd.db /var/lib/zookeeper --config /etc/zookeeper/zoo.cfg
  zebu datadir from-etcd etcd.db ./zebu-data`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] == "" || args[1] == "" {
				return &exitError{exitInvalid, usageError{cmd, errors.New("which file is to be read, and which directory made?")}}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.load(cmd, nil)
			if err != nil {
				return err
			}
			return fromEtcd(cmd.OutOrStdout(), cfg, args[0], args[1])
		},
	}
	config.add(cmd)
	cmd.Flags().Lookup("config").Usage = "read this zoo.cfg: which server the directory is for"
	return cmd
}

func fromEtcd(w io.Writer, cfg *conf.Config, file, dir string) error {
	made, err := server.ImportEtcd(cfg, file, dir, zap.NewNop())
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Made %s: %d keys at revision %d, %d leases, %d users, as of %v; %s with the history.\n",
		dir, made.Keys, made.Revision, made.Leases, made.Users, made.Zxid, bytesText(made.Size))
	if absolute(cfg.DataDir) != absolute(dir) {
		fmt.Fprintf(&b, "In zoo.cfg set dataDir=%s\n", absolute(dir))
	}
	if !cfg.Etcd.Addr.IsSet() {
		b.WriteString("In zoo.cfg set etcd.clientPort, or nobody can see the keys.\n")
	}
	if cfg.Distributed() {
		b.WriteString("Make the directories of the other servers from the same file before any of them starts.\n")
	}
	b.WriteString("The user that zebu runs as must own the directory.\n")
	_, err = io.WriteString(w, b.String())
	return err
}
