package freeport

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestNext draws ports in this process and in another, more of them than a block has: all differ, can be listened on, and
// are none of those that the kernel picks by itself.
func TestNext(t *testing.T) {
	const n = 3 * block
	if os.Getenv("FREEPORT_CHILD") != "" {
		for range n {
			port, err := Next()
			if err != nil {
				t.Fatal(err)
			}
			t.Log("port", port)
		}
		return
	}
	seen := map[int]bool{}
	draw := func(port int) {
		if seen[port] {
			t.Errorf("port %d twice", port)
		}
		seen[port] = true
		if port < first || port >= end {
			t.Errorf("port %d", port)
		}
	}
	for range n {
		port, err := Next()
		if err != nil {
			t.Fatal(err)
		}
		draw(port)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	child := exec.Command(os.Args[0], "-test.run=^TestNext$", "-test.v")
	child.Env = append(os.Environ(), "FREEPORT_CHILD=1")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if _, number, ok := strings.Cut(line, ": port "); ok {
			port, err := strconv.Atoi(strings.TrimSpace(number))
			if err != nil {
				t.Fatal(err)
			}
			draw(port)
		}
	}
	if len(seen) != 2*n {
		t.Errorf("%d ports", len(seen))
	}
}
