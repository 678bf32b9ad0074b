package interop

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"zebu/internal/peers"
)

// leftOut collects the tests that could not run for want of a peer, for the notice at the end.
var leftOut = struct {
	sync.Mutex
	why map[string][]string // reason -> tests
}{why: map[string][]string{}}

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("4") // scenarios mostly wait: to reconnect, to expire
	}
	code := m.Run()
	peers.RemoveBuild()
	removeCompiled()
	if len(leftOut.why) > 0 {
		line := strings.Repeat("!", 100)
		fmt.Printf("%s\n!! INTEROP TESTS LEFT OUT: this machine lacks peers that zebu is compared with. With CI=true this is a failure.\n", line)
		for why, tests := range leftOut.why {
			sort.Strings(tests)
			fmt.Printf("!! %s\n!!    left out: %s\n", why, strings.Join(tests, ", "))
		}
		fmt.Println(line)
	}
	os.Exit(code)
}

// have fails the test, or skips it outside CI, if err says that a peer is missing; any other error fails it.
func have(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var missing *peers.Missing
	if !errors.As(err, &missing) || os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	leftOut.Lock()
	leftOut.why[err.Error()] = append(leftOut.why[err.Error()], t.Name())
	leftOut.Unlock()
	t.Skip(err)
}

func apache39(t *testing.T) *peers.Java {
	t.Helper()
	m, err := peers.Apache39(t.Context())
	have(t, err)
	return m
}

func apache38(t *testing.T) *peers.Java {
	t.Helper()
	m, err := peers.Apache38()
	have(t, err)
	return m
}

func zebu(t *testing.T) *peers.Zebu {
	t.Helper()
	m, err := peers.BuildZebu(context.Background(), os.Getenv("INTEROP_RACE") != "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// bothMakers are the reference and the candidate, in this order. INTEROP_ONLY=apache compares the reference with
// itself, which proves that a comparison is repeatable.
func bothMakers(t *testing.T) [2]peers.Maker {
	t.Helper()
	ref := apache39(t)
	if os.Getenv("INTEROP_ONLY") == "apache" {
		return [2]peers.Maker{ref, ref}
	}
	return [2]peers.Maker{ref, zebu(t)}
}

// start runs a server until the end of the test and shows its log if the test failed.
func start(t *testing.T, m peers.Maker, c peers.Config) *peers.Server {
	t.Helper()
	s, err := peers.Start(t.Context(), m, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-s.Done():
		default:
			s.Kill()
		}
		if t.Failed() {
			t.Logf("log of %s in %s ends:\n%s", m.Name(), filepath.Base(c.Dir), s.LogTail(30))
		}
	})
	return s
}

func stop(t *testing.T, s *peers.Server) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// superDigest makes addauth digest super:test the super user.
const superDigest = "zookeeper.DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU="

// properties are given to every server unless a test wants others.
var properties = []string{
	superDigest,
	"zookeeper.extendedTypesEnabled=true",
	"znode.container.checkIntervalMs=500",
}

// poll calls f until it returns true, every 10 ms for at most limit: for what a server does in its own time, of which
// no client is told. What f has seen last may be added to the message.
func poll(t *testing.T, limit time.Duration, what string, f func() bool, seen ...*string) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline.C:
			for _, s := range seen {
				what += ": " + *s
			}
			t.Fatalf("no %s within %v", what, limit)
		}
	}
}
