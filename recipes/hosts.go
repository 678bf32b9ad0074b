package recipes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// lookupLimit bounds the resolution of all names.
const lookupLimit = 3 * time.Second

// hosts tries the servers in random order, and resolves their names anew when all have been tried in vain: servers that have moved are
// found. It is a zk.HostProvider.
type hosts struct {
	lookup func(ctx context.Context, host string) ([]string, error)

	mu      sync.Mutex
	servers []string // as they were given
	list    []string // addresses
	next    int
	tried   int // since a connection was made, or all had been tried
}

// Init implements zk.HostProvider.
func (h *hosts) Init(servers []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.servers = servers
	return h.resolve()
}

// resolve replaces the list; h.mu is held. A name that cannot be resolved is left out while there are others.
func (h *hosts) resolve() error {
	ctx, cancel := context.WithTimeout(context.Background(), lookupLimit)
	defer cancel()
	var list []string
	var failed error
	for _, s := range h.servers {
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			return err
		}
		found, err := h.lookup(ctx, host)
		if err != nil {
			failed = err
		}
		for _, a := range found {
			list = append(list, net.JoinHostPort(a, port))
		}
	}
	if len(list) == 0 {
		return fmt.Errorf("no address of %v: %w", h.servers, failed)
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	h.list, h.next = list, 0
	return nil
}

// Len implements zk.HostProvider.
func (h *hosts) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.list)
}

// Next implements zk.HostProvider. rest asks for a pause: all have been tried.
func (h *hosts) Next() (server string, rest bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tried >= len(h.list) {
		_ = h.resolve() // if that fails, the old addresses are the best there is
		h.tried, rest = 0, true
	}
	server = h.list[h.next%len(h.list)]
	h.next++
	h.tried++
	return server, rest
}

// Connected implements zk.HostProvider.
func (h *hosts) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tried = 0
}
