package recipes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"zebu/internal/peers"
)

// server is what all tests of the package run on: zebu, or with RECIPES_ON=apache Apache ZooKeeper.
var server *peers.Server

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "recipes")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	defer peers.RemoveBuild()
	var maker peers.Maker
	if os.Getenv("RECIPES_ON") == "apache" {
		maker, err = peers.Apache39(ctx)
	} else {
		maker, err = peers.BuildZebu(ctx, false)
	}
	if err == nil {
		server, err = peers.Start(ctx, maker, peers.Config{
			Dir: dir, Extra: []string{"tickTime=200"}, Properties: []string{"znode.container.checkIntervalMs=3600000"},
		})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer server.Kill()
	return m.Run()
}

// limit bounds every wait of the tests.
const limit = 30 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// addresses names the server several times: go-zookeeper rests a second after it has tried all.
func addresses() []string { return slices.Repeat([]string{server.Addr}, 20) }

// client opens a client until the end of the test.
func client(t *testing.T) *Client {
	t.Helper()
	return clientWith(t, Options{})
}

func clientWith(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := Connect(addresses(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var directories atomic.Int64

// fresh is a path that no other test uses.
func fresh(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("/%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), directories.Add(1))
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until waits for a channel to be closed or to deliver.
func until[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(limit):
		t.Fatalf("%s: not within %v", what, limit)
		panic("unreachable")
	}
}

// childrenBecome waits until a node's children fulfil a condition. It watches, so it does not poll.
func childrenBecome(t *testing.T, c *Client, dir, what string, f func([]string) bool) []string {
	t.Helper()
	ctx := within(t)
	for {
		w, err := c.watchChildren(ctx, dir)
		gone := errors.Is(err, zk.ErrNoNode)
		if err != nil && !gone {
			t.Fatalf("%s: %v", what, err)
		}
		if f(w.value) {
			return w.value
		}
		wake := w.watch
		if gone {
			e, err := c.watchExists(ctx, dir)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if e.value != nil {
				continue
			}
			wake = e.watch
		}
		select {
		case <-wake.fired:
		case <-ctx.Done():
			t.Fatalf("%s: not within %v, but %v", what, limit, w.value)
		}
	}
}

// empties waits until a node has no children.
func empties(t *testing.T, c *Client, dir string) {
	t.Helper()
	childrenBecome(t, c, dir, dir+" empties", func(names []string) bool { return len(names) == 0 })
}

func numbering(t *testing.T, c *Client, dir string, n int) []string {
	t.Helper()
	return childrenBecome(t, c, dir, fmt.Sprintf("%s has %d children", dir, n), func(names []string) bool { return len(names) == n })
}
