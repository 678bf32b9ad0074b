package server

import (
	"sync"
	"time"
)

// serviceWait is how long a new connection waits while there is no leader, before it is closed. An election takes some
// milliseconds as a rule, and 200 more at times, while clients that are turned away by all servers sleep for up to a second.
const serviceWait = 300 * time.Millisecond

// service lets new connections wait until clients are served.
type service struct {
	mu   sync.Mutex
	open chan struct{} // closed while clients are served
}

func newService(open bool) *service {
	s := &service{open: make(chan struct{})}
	if open {
		close(s.open)
	}
	return s
}

func (s *service) begun() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// set says whether clients are served.
func (s *service) set(open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.open:
		if !open {
			s.open = make(chan struct{})
		}
	default:
		if open {
			close(s.open)
		}
	}
}

// await waits until clients are served, but not for long, and not beyond the end of the server.
func (s *service) await(stopped <-chan struct{}) {
	open := s.begun()
	select {
	case <-open:
		return
	default:
	}
	timer := time.NewTimer(serviceWait)
	defer timer.Stop()
	select {
	case <-open:
	case <-timer.C:
	case <-stopped:
	}
}
