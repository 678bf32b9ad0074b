// Command bench measures ZooKeeper servers: throughput, latency, the CPU time and the memory that a server takes. It
// speaks the client protocol itself, pipelined, so that the generator costs little beside what it measures.
//
//	go run ./bench load --servers HOST:PORT        one load on running servers
//	go run ./bench compare                         zebu and Apache ZooKeeper side by side; make bench
//	go run ./bench compare --quick                 the same in small, as a smoke test
//	go run ./bench recovery                        how long an ensemble takes no writes after its leader was killed
//	go run ./bench etcd                            zebu's etcd API and etcd side by side
//
// The loads are closed loops: a connection sends a request when one of its depth requests is answered, so latencies are
// those of a saturated server. Only the paced load, which times snapshots, sends at fixed times and charges a stall to
// every request that it holds up.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"zebu/internal/peers"
)

func main() {
	// One processor does: the generator waits for sockets nearly always, and idle processors that look for work would
	// take CPU time from a server on the same cores.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	cmd := &cobra.Command{Use: "bench", Short: "Measure ZooKeeper servers", SilenceUsage: true, SilenceErrors: true}
	cmd.AddCommand(loadCommand(), compareCommand(), ensembleCommand(), recoveryCommand(), etcdCommand(), echoCommand())
	err := cmd.ExecuteContext(ctx)
	peers.RemoveBuild()
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
