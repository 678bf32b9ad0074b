package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"zebu/lab/live"
)

func newLabServeCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a page on which ZAB and Raft are steered by hand",
		Long: `Serves a page for a browser on this machine. On it servers are crashed, links are cut, clients write and
read, and time goes by event by event or at a pace, while the diagrams of both protocols, one above the
other, show what each makes of it. Ctrl-C ends it.

Whoever reaches the address can use the page, and take memory: it is meant for the loopback interface.`,
		Example: `  zebu lab serve
  zebu lab serve --listen 127.0.0.1:8090`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveLab(cmd.Context(), listen, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "address to listen on; port 0 is one that is free")
	return cmd
}

// serveLab serves until the context ends or a signal comes.
func serveLab(ctx context.Context, listen string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	handler, err := live.Handler()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("serve the laboratory: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	fmt.Fprintf(out, "The laboratory is at http://%s/ - Ctrl-C ends it\n", l.Addr())
	select {
	case err = <-done:
	case <-ctx.Done():
		// Pages that are open have nothing to lose.
		err = errors.Join(server.Close(), <-done)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
