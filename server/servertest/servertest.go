// Package servertest runs servers in tests of other packages.
package servertest

import (
	"context"
	"testing"

	"go.uber.org/zap"

	"zebu/conf"
	"zebu/server"
)

// Start runs a standalone server on a directory of its own until the end of a test, and returns its address. It makes nodes of all types.
func Start(t testing.TB) (addr string) {
	t.Helper()
	c := conf.Default()
	c.DataDir = t.TempDir()
	c.DataLogDir = c.DataDir
	c.Client.Addr = conf.Address("127.0.0.1", 0)
	c.Log.PreAlloc = 1 << 20
	c.Tree.ExtendedTypes = true
	s, err := server.New(server.Options{Config: c, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}
