package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"zebu/conf"
)

func newServerCommand() *cobra.Command {
	var config configFlags
	var logs logFlags
	cmd := &cobra.Command{
		Use:   "server [FILE | PORT DATADIR [TICKTIME [MAXCLIENTCNXNS]]]",
		Short: "Run a server",
		Long: `Run a server with ZooKeeper's configuration file FILE, usually called zoo.cfg, until SIGTERM or SIGINT.

Without a file the server is one for this machine only, at 127.0.0.1:2181 with its data in ./zebu-data
('zebu config default' prints that configuration, a good start for your own). PORT and DATADIR are the
arguments of ZooKeeper's ZooKeeperServerMain.

Every key and Java system property of ZooKeeper 3.9 is honoured or named in a warning that says why not.
Properties come as -Dname=value, from the environment variables SERVER_JVMFLAGS and JVMFLAGS, or, without
their prefix "zookeeper.", in the file; the file overrides the others, as it does in ZooKeeper.

Exit codes: 0 stopped, 1 unexpected failure, 2 invalid invocation or configuration, 3 data directory,
4 admin server, 10 transaction log, 14 port.`,
		Example: `  zebu server
  zebu server /etc/zookeeper/zoo.cfg
  zebu server zoo.cfg -Dzookeeper.snapCount=10000 -Djute.maxbuffer=4194304
  SERVER_JVMFLAGS=-Dzookeeper.extendedTypesEnabled=true zebu server --config zoo.cfg --log-format json
  zebu server 2181 /var/lib/zookeeper`,
		Args: atMost(4),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.load(cmd, args)
			if err != nil {
				return err
			}
			log, level, err := logs.open()
			if err != nil {
				return err
			}
			return serve(cmd.Context(), launch{cfg: cfg, log: log, level: level, out: cmd.OutOrStdout(), json: logs.format == "json"})
		},
	}
	config.add(cmd)
	logs.add(cmd)
	return cmd
}

// launch is all that a server is started with.
type launch struct {
	cfg   *conf.Config
	log   *zap.Logger
	level zap.AtomicLevel // of log
	out   io.Writer       // for the words to the person who started it
	json  bool            // log is JSON: say those words there
}

// serve runs a server until a signal ends it.
func serve(ctx context.Context, l launch) error {
	for _, w := range l.cfg.Warnings() {
		l.log.Warn("configuration: "+w.Message, zap.String("key", w.Key), zap.Stringer("source", w.Source))
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var toggling sync.WaitGroup
	toggling.Go(func() { toggleDebug(ctx, l.level, l.log) })
	defer toggling.Wait()
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := l.run(ctx); err != nil {
		return err
	}
	l.log.Info("stopped")
	return nil
}

// announce tells how to connect to a server that listens at addr, and where the data lies.
func (l launch) announce(addr, etcd net.Addr) {
	c := l.cfg
	address := connectString(c.Client.Addr.Host, addr)
	data := absolute(c.DataDir)
	if l.json {
		l.log.Info("serving", zap.String("address", address), zap.String("dataDir", data), zap.String("dataLogDir", absolute(c.DataLogDir)))
		if etcd != nil {
			l.log.Info("serving the etcd API", zap.String("address", etcdEndpoint(c, etcd)))
		}
		return
	}
	fmt.Fprintf(l.out, "Serving ZooKeeper clients at %v, data in %s.\nConnect with: zebu cli --server %s\n", addr, data, address)
	if etcd != nil {
		fmt.Fprintf(l.out, "Serving etcd clients at %v.\nConnect with: etcdctl --endpoints %s\n", etcd, etcdEndpoint(c, etcd))
	}
	if c.File == "" {
		fmt.Fprintf(l.out, "Stop with Ctrl-C. 'zebu server --help' tells how to use a zoo.cfg.\n")
	}
}

// etcdEndpoint is what an etcd client on this machine connects to.
func etcdEndpoint(c *conf.Config, addr net.Addr) string {
	endpoint := connectString(c.Etcd.Addr.Host, addr)
	if c.Etcd.CertFile != "" {
		return "https://" + endpoint
	}
	return endpoint
}

// connectString is what a client on this machine connects to: the host as configured, the port as opened.
func connectString(host string, addr net.Addr) string {
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return net.JoinHostPort(host, port)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
