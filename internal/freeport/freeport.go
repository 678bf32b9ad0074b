// Package freeport finds TCP ports for servers that tests and benchmarks start.
//
// A port that the kernel picks (listen on port 0, close, hand the number on) is free for a moment only: it may be picked
// again, or become the near end of anybody's outgoing connection before the server listens on it, or while the server is
// down to be started again. The ports of this package lie below those that Linux gives to outgoing connections
// (net.ipv4.ip_local_port_range begins with 32768), and below 20000, where etcd's own test suites begin. They are handed
// out once in a process. Other processes that use this package hand out others: each owns whole blocks of ports, by
// listening on the first of a block for as long as it lives.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

const (
	first  = 10240
	end    = 20000
	block  = 128
	blocks = (end - first) / block
)

// pool is what this process owns: the ports from next to the end of a block, and the first ports of all blocks it had.
var pool struct {
	mu    sync.Mutex
	next  int
	owned []net.Listener
}

// Next returns a port of 127.0.0.1 that nobody listens on and that no later call returns.
func Next() (int, error) { return Successive(1) }

// Successive returns the first of n such ports in a row, at most 127.
func Successive(n int) (int, error) {
	if n >= block {
		return 0, fmt.Errorf("%d successive ports, at most %d are to be had", n, block-1)
	}
	pool.mu.Lock()
	defer pool.mu.Unlock()
	for free := 0; ; {
		if pool.next%block == 0 {
			if err := claim(); err != nil {
				return 0, err
			}
			free = 0
		}
		l, err := listen(pool.next)
		pool.next++
		if err != nil {
			free = 0
			continue
		}
		if err := l.Close(); err != nil {
			return 0, err
		}
		if free++; free == n {
			return pool.next - n, nil
		}
	}
}

// claim takes a block that no process has, and holds its first port.
func claim() error {
	start := rand.IntN(blocks)
	var refused error
	for i := range blocks {
		port := first + (start+i)%blocks*block
		l, err := listen(port)
		if err == nil {
			pool.owned = append(pool.owned, l)
			pool.next = port + 1
			return nil
		}
		refused = err
	}
	return fmt.Errorf("no block of %d free ports from %d to %d: %w", block, first, end-1, refused)
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
