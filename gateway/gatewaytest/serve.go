package gatewaytest

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/zap"

	"zebu/gateway"
)

// Serve runs a gateway on a node of its own until the end of a test, at a port of 127.0.0.1. The node and the log of the options are set here.
func Serve(t testing.TB, nodes Options, o gateway.Options) (g *gateway.Server, n *Node, addr string) {
	t.Helper()
	n, err := New(nodes)
	if err != nil {
		t.Fatal(err)
	}
	o.Node, o.Log = n, zap.NewNop()
	if g, err = gateway.New(o); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		g.Stop(ctx)
		n.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return g, n, l.Addr().String()
}
