package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"zebu/proto"
)

const (
	loadBuffer = 64 << 10         // most that a connection's read buffer has from the beginning
	replyRoom  = 512              // a connection's read buffer for each request in flight
	replyGrace = 30 * time.Second // how long a server may leave the last requests unanswered
)

// Run bounds a load. The first bound that is reached stops new requests; those in flight are awaited and counted.
type Run struct {
	Depth    int           // requests a connection has in flight
	Duration time.Duration // 0 is no bound
	Ops      int64         // over all connections; 0 is no bound
	Rate     int           // requests a second over all connections, each then with one in flight; 0 is as fast as answers come
	Accept   proto.ErrCode // outcome that is no error, besides OK
}

// Result is what a run measured.
type Result struct {
	Ops       int64
	Errors    int64
	FirstErr  proto.ErrCode // of Errors
	Elapsed   time.Duration
	Latency   Histogram
	ServerCPU time.Duration // user and system, all servers
	ClientCPU time.Duration // of this process
}

// Merge adds another run of the same load.
func (r *Result) Merge(o *Result) {
	if r.Errors == 0 {
		r.FirstErr = o.FirstErr
	}
	r.Ops += o.Ops
	r.Errors += o.Errors
	r.Elapsed += o.Elapsed
	r.Latency.Merge(&o.Latency)
	r.ServerCPU += o.ServerCPU
	r.ClientCPU += o.ClientCPU
}

// Rate returns operations a second.
func (r *Result) Rate() float64 { return float64(r.Ops) / r.Elapsed.Seconds() }

// perOp returns d's share of one operation, in microseconds.
func (r *Result) perOp(d time.Duration) float64 {
	return float64(d) / float64(time.Microsecond) / float64(max(r.Ops, 1))
}

// pool is the connections of a load.
type pool struct{ conns []*conn }

// dialPool opens n sessions, spread over addrs, a few at a time.
func dialPool(ctx context.Context, addrs []string, n int) (*pool, error) {
	p := &pool{conns: make([]*conn, n)}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range p.conns {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			c, err := dial(addrs[i%len(addrs)])
			p.conns[i] = c
			return err
		})
	}
	if err := g.Wait(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// close drops all connections; their sessions expire some time later.
func (p *pool) close() {
	for _, c := range p.conns {
		if c != nil {
			c.drop()
		}
	}
}

// run drives every connection from its own source until one of r's bounds is reached, the sources run dry or ctx ends.
// The end of ctx is no error.
func (p *pool) run(ctx context.Context, r Run, sources []source) (*Result, error) {
	var stop atomic.Bool
	halt := func() {
		stop.Store(true)
		for _, c := range p.conns {
			_ = c.nc.SetReadDeadline(time.Now().Add(replyGrace)) // fails only if closed, which shows at the next read
		}
	}
	defer context.AfterFunc(ctx, halt)()
	if r.Duration > 0 {
		defer time.AfterFunc(r.Duration, halt).Stop()
	}
	var budget *atomic.Int64
	if r.Ops > 0 {
		budget = new(atomic.Int64)
		budget.Store(r.Ops)
	}
	workers := make([]*worker, len(p.conns))
	begin := time.Now()
	for i, c := range p.conns {
		_ = c.nc.SetDeadline(time.Time{}) // as in halt
		workers[i] = newWorker(c, sources[i], r, begin, &stop, budget)
		if r.Rate > 0 {
			workers[i].interval = time.Duration(len(p.conns)) * time.Second / time.Duration(r.Rate)
			workers[i].due = time.Duration(i) * time.Second / time.Duration(r.Rate)
		}
	}
	err := runAll(workers, halt)
	res := &Result{Elapsed: time.Since(begin)}
	for _, w := range workers {
		res.Ops += int64(w.hist.Count())
		if res.Errors == 0 {
			res.FirstErr = w.firstErr
		}
		res.Errors += w.errs
		res.Latency.Merge(&w.hist)
	}
	return res, err
}

// runAll runs the workers to their end; the first that fails stops the others.
func runAll(workers []*worker, halt func()) error {
	var wg sync.WaitGroup
	errs := make([]error, len(workers))
	for i, w := range workers {
		wg.Go(func() {
			if errs[i] = w.run(); errs[i] != nil {
				halt()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// worker is one connection in a run. Times are since the run's beginning.
type worker struct {
	c        *conn
	src      source
	accept   proto.ErrCode
	begin    time.Time
	stop     *atomic.Bool
	budget   *atomic.Int64   // nil: unbounded
	sent     []time.Duration // ring: when each request in flight was written, by order
	oldest   int             // index in sent
	inFlight int
	done     bool // no further requests

	interval time.Duration // between requests of a paced run; 0: not paced
	due      time.Duration // when the next request of a paced run is to be sent

	hist     Histogram
	errs     int64
	firstErr proto.ErrCode
}

func newWorker(c *conn, src source, r Run, begin time.Time, stop *atomic.Bool, budget *atomic.Int64) *worker {
	depth := max(r.Depth, 1)
	if r.Rate > 0 {
		depth = 1
	}
	return &worker{
		c: c, src: src, accept: r.Accept, begin: begin, stop: stop, budget: budget, sent: make([]time.Duration, depth),
	}
}

func (w *worker) run() error {
	if depth := len(w.sent); depth > 1 && len(w.c.in) < loadBuffer && w.c.r == w.c.w {
		w.c.in, w.c.r, w.c.w = make([]byte, min(loadBuffer, depth*replyRoom)), 0, 0
	}
	for {
		w.refill()
		if w.inFlight == 0 {
			return nil
		}
		if err := w.exchange(); err != nil {
			return fmt.Errorf("after %d replies: %w", w.hist.Count(), err)
		}
	}
}

// refill appends requests until depth are in flight.
func (w *worker) refill() {
	if w.done {
		return
	}
	now := time.Since(w.begin)
	if w.interval > 0 {
		now = w.pace(now)
	}
	if w.stop.Load() {
		w.done = true
		return
	}
	for w.inFlight < len(w.sent) {
		if w.budget != nil && w.budget.Add(-1) < 0 || !w.src.next(w.c) {
			w.done = true
			return
		}
		w.sent[(w.oldest+w.inFlight)%len(w.sent)] = now
		w.inFlight++
	}
}

// pace waits until the next request is due and returns when that is timed from: now, when it was not held up (what the
// wait took too long is not the server's doing), but when it was due, if the reply before it was late. A stall is then
// felt by every request that it held up.
func (w *worker) pace(now time.Duration) time.Duration {
	due := w.due
	w.due += w.interval
	if due <= now {
		return due
	}
	time.Sleep(due - now)
	return time.Since(w.begin)
}

// exchange writes what refill appended, reads once and takes the replies that came.
func (w *worker) exchange() error {
	if len(w.c.out) > 0 {
		if err := w.c.flush(); err != nil {
			return err
		}
	}
	if err := w.c.fill(); err != nil {
		return err
	}
	now := time.Since(w.begin)
	for {
		frame, err := w.c.frame()
		if frame == nil {
			return err
		}
		code, isReply, err := w.c.settle(frame)
		if err != nil {
			return err
		}
		if !isReply {
			continue
		}
		w.hist.Record(now - w.sent[w.oldest])
		w.oldest = (w.oldest + 1) % len(w.sent)
		w.inFlight--
		if code != proto.OK && code != w.accept {
			if w.errs == 0 {
				w.firstErr = code
			}
			w.errs++
		}
	}
}
