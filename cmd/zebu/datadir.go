package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"zebu/conf"
	"zebu/server"
)

func newDatadirCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "datadir",
		Short: "Make data directories for other programs, and of their data",
	}
	cmd.AddCommand(newForZooKeeperCommand(), newFromEtcdCommand())
	return cmd
}

func newForZooKeeperCommand() *cobra.Command {
	var config configFlags
	var data string
	cmd := &cobra.Command{
		Use:   "for-zookeeper DIR",
		Short: "Make a data directory that Apache ZooKeeper can open, without the etcd API's data",
		Long: `Make DIR, which must not exist, a data directory that Apache ZooKeeper 3.8 and 3.9 can open: with a snapshot
of all znodes and sessions at the last zxid, myid, acceptedEpoch and currentEpoch. It has no transaction
log, and nothing of the etcd API, of which ZooKeeper knows nothing: what is left behind is told first.

The server must not run. Its own directories stay as they are, so that it can go on from them. Without
--config or --data they are those of a server without a file.

The servers of an ensemble change together: zebu's servers do not let one in that cannot apply the etcd
API's transactions. End the clients' work, wait until 'zebu status' shows no lag, stop all servers, make a
directory for each, and start ZooKeeper on them.

A data directory in which there never was an etcd transaction needs no conversion.

Exit codes: 0 done, 1 not done, and DIR is not there, 2 invalid invocation or configuration.`,
		Example: `  zebu datadir for-zookeeper /var/lib/zookeeper/back --config /etc/zookeeper/zoo.cfg
  zebu datadir for-zookeeper ./for-zookeeper --data ./zebu-data`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return &exitError{exitInvalid, usageError{cmd, errors.New("which directory is to be made?")}}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := offlineConfig(cmd, &config, data)
			if err != nil {
				return err
			}
			return forZooKeeper(cmd.OutOrStdout(), cfg, args[0])
		},
	}
	config.add(cmd)
	cmd.Flags().Lookup("config").Usage = "read this zoo.cfg: where the data are, and how ZooKeeper is to find them"
	cmd.Flags().StringVar(&data, "data", "", "read this data directory, which has the logs, too, instead of a zoo.cfg's")
	return cmd
}

// offlineConfig is that of the flags, or the default one with another data directory.
func offlineConfig(cmd *cobra.Command, flags *configFlags, data string) (*conf.Config, error) {
	if data == "" {
		return flags.load(cmd, nil)
	}
	if flags.file != "" {
		return nil, &exitError{exitInvalid, usageError{cmd, fmt.Errorf("--config %s leaves no room for --data %s", flags.file, data)}}
	}
	return flags.load(cmd, []string{defaultPort, data})
}

func forZooKeeper(w io.Writer, cfg *conf.Config, dir string) (err error) {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: something is there already; a new directory is made", dir)
	}
	o, err := server.OpenOffline(cfg, zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if _, err := io.WriteString(w, leftBehind(o)); err != nil {
		return err
	}
	if err := o.WriteForZooKeeper(dir); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nMade %s: the state at %v, with %d znodes and %d sessions.\n", dir, o.Zxid(), o.Znodes(), o.Sessions())
	fmt.Fprintf(&b, "In zoo.cfg set dataDir=%s", absolute(dir))
	if filepath.Clean(cfg.DataLogDir) != filepath.Clean(cfg.DataDir) {
		fmt.Fprintf(&b, ", and take out dataLogDir=%s or let it name an empty directory", cfg.DataLogDir)
	}
	b.WriteString(". The user that ZooKeeper runs as must own the directory.\n")
	_, err = io.WriteString(w, b.String())
	return err
}

// leftBehind says what does not get into the new directory.
func leftBehind(o *server.Offline) string {
	e := &o.Etcd
	if e.Dir == "" && e.Txns == 0 {
		return "Nothing is left behind: there is nothing of the etcd API. ZooKeeper could open the directory as it is.\n"
	}
	var b strings.Builder
	b.WriteString("Left behind, for there is no place for it in ZooKeeper:\n")
	switch {
	case e.Dir == "":
	case e.Err != nil:
		fmt.Fprintf(&b, "  %s, what the etcd API holds, which cannot be read: %v\n", e.Dir, e.Err)
	default:
		fmt.Fprintf(&b, "  %s, what the etcd API holds: %d keys at revision %d, %d leases, %d users, as of %v; %s with the history\n",
			e.Dir, e.Keys, e.Revision, e.Leases, e.Users, e.Zxid, bytesText(e.Size))
	}
	fmt.Fprintf(&b, "  %d etcd transactions in the logs", e.Txns)
	if e.Txns > 0 {
		fmt.Fprintf(&b, ", the last one %v", e.Last)
	}
	if e.Dir != "" && e.Err == nil && e.Later > 0 {
		fmt.Fprintf(&b, "; %d are not in there yet", e.Later)
	}
	b.WriteString("\n")
	return b.String()
}
