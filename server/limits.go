package server

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"zebu/conf"
	"zebu/internal/metrics"
	"zebu/proto"
	"zebu/replica"
)

// addressLimit counts connections by client address (maxClientCnxns) and in all (maxCnxns).
type addressLimit struct {
	perAddr, total int // 0: no limit

	mu    sync.Mutex
	count map[netip.Addr]int
	all   int
}

func newAddressLimit(l conf.Limits) *addressLimit {
	return &addressLimit{perAddr: l.MaxClientCnxns, total: l.MaxCnxns, count: map[netip.Addr]int{}}
}

// enter admits a connection, or reports false.
func (l *addressLimit) enter(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total > 0 && l.all >= l.total || l.perAddr > 0 && l.count[a] >= l.perAddr {
		return false
	}
	l.count[a]++
	l.all++
	return true
}

func (l *addressLimit) leave(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.count[a]--; l.count[a] == 0 {
		delete(l.count, a)
	}
}

// connThrottle is the token bucket of spec 13.6, with the probabilistic dropping of the BLUE algorithm.
type connThrottle struct {
	cfg conf.Throttle
	met *metrics.Server

	mu       sync.Mutex
	tokens   int
	filled   time.Time
	drop     float64 // chance of refusing
	adjusted time.Time
}

func newConnThrottle(cfg conf.Throttle, met *metrics.Server) *connThrottle {
	now := time.Now()
	return &connThrottle{cfg: cfg, met: met, tokens: cfg.ConnTokens, filled: now, adjusted: now}
}

// admit decides about a connection by its first frame.
func (t *connThrottle) admit(frame []byte) bool {
	if t.cfg.ConnTokens <= 0 {
		return true
	}
	weight := 1
	if t.cfg.ConnWeighted {
		weight = t.weight(frame)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if steps := int(now.Sub(t.filled) / t.cfg.ConnFillTime); steps > 0 {
		t.filled = t.filled.Add(time.Duration(steps) * t.cfg.ConnFillTime)
		t.tokens = min(t.cfg.ConnTokens, t.tokens+steps*t.cfg.ConnFillCount)
	}
	if t.cfg.ConnFreezeTime >= 0 {
		t.adjust(now)
		if t.drop > 0 && rand.Float64() < t.drop { //nolint:gosec // load shedding
			return false
		}
	}
	t.met.ConnectionTokenDeficit.Observe(int64(t.cfg.ConnTokens - t.tokens))
	if t.tokens < weight {
		return false
	}
	t.tokens -= weight
	return true
}

// adjust moves the drop chance with the fill of the bucket.
func (t *connThrottle) adjust(now time.Time) {
	if now.Sub(t.adjusted) < t.cfg.ConnFreezeTime {
		return
	}
	t.adjusted = now
	low := int(float64(t.cfg.ConnTokens) * t.cfg.ConnDecreaseRatio)
	if t.tokens == 0 {
		t.drop = min(1, t.drop+t.cfg.ConnDropIncrease)
	} else if t.tokens > low {
		t.drop = max(0, t.drop-t.cfg.ConnDropDecrease)
	}
}

// weight is what the handshake costs: resuming a session is cheaper than making one.
func (t *connThrottle) weight(frame []byte) int {
	var req proto.ConnectRequest
	d := proto.NewDecoder(frame)
	if req.Decode(&d); req.SessionID != 0 {
		return t.cfg.ConnRenewWeight
	}
	return t.cfg.ConnGlobalWeight
}

// batchLimit is how many requests a connection may hand over at once, so that the limits below mean something.
func batchLimit(cfg *conf.Config) int {
	limit := maxInboxItems
	for _, n := range []int{cfg.Limits.Outstanding, cfg.Throttle.MaxRequests} {
		if n > 0 {
			limit = min(limit, n)
		}
	}
	return limit
}

// enter counts a reader's batch as in flight. It holds the reader back while too much is: beyond
// request_throttle_max_requests every reader, beyond globalOutstandingLimit those that have a request in flight themselves.
func (s *Server) enter(c *conn) {
	n := int64(len(c.batch))
	global := int64(s.cfg.Limits.Outstanding)
	most := int64(s.cfg.Throttle.MaxRequests)
	over := func() bool {
		all := s.inflight.Load()
		return global > 0 && all > global && c.inflight.Load() > 0 || most > 0 && all > 0 && all+n > most
	}
	wait := over()
	if wait {
		s.met.RequestThrottleWaitCount.Inc()
		c.flush()
	}
	if wait || most > 0 {
		s.roomMu.Lock()
		defer s.roomMu.Unlock()
		s.roomWaiters.Add(1)
		for over() && !s.ending.Load() && !c.gone.Load() {
			s.room.Wait()
		}
		s.roomWaiters.Add(-1)
	}
	c.inflight.Add(n)
	s.inflight.Add(n)
}

// signalRoom wakes readers that wait for requests in flight to be answered.
func (s *Server) signalRoom() {
	if s.roomWaiters.Load() == 0 {
		return
	}
	s.roomMu.Lock()
	s.room.Broadcast()
	s.roomMu.Unlock()
}

// admitLarge counts the large requests in the batch against largeRequestMaxBytes; false ends the connection (spec 13.4).
func (c *conn) admitLarge() bool {
	threshold := c.s.cfg.Limits.LargeRequestThreshold
	if threshold <= 0 {
		return true
	}
	sizes := make([]int64, len(c.batch))
	var sum int64
	for i := range c.batch {
		if n := requestHeaderSize + len(c.batch[i].req.Body); n > threshold {
			sizes[i] = int64(n)
			sum += int64(n)
		}
	}
	if sum > 0 && c.s.largeBytes.Add(sum) > int64(c.s.cfg.Limits.LargeRequestMaxBytes) {
		c.s.largeBytes.Add(-sum)
		c.s.met.LargeRequestsRejected.Inc()
		return false
	}
	c.mu.Lock()
	c.larges = append(c.larges, sizes...)
	c.mu.Unlock()
	return true
}

// requestHeaderSize is what a request has before its body, in bytes.
const requestHeaderSize = 8

// settle takes what is in flight off the books when it will not be answered any more.
func (c *conn) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.inflight.Add(-c.inflight.Swap(0))
	for _, n := range c.larges {
		c.s.largeBytes.Add(-n)
	}
	c.larges = nil
}

// stale says whether a request has waited longer than throttled_op_wait_time, and is refused unexecuted.
func (s *Server) stale(req *replica.Request) bool {
	limit := s.cfg.Throttle.OpWaitTime
	if limit <= 0 || req.Op == proto.OpPing || req.Op == proto.OpCloseSession {
		return false
	}
	return s.now()-req.At > proto.Millis(limit.Milliseconds())
}
