package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// counter hands out numbers.
type counter struct{ n atomic.Int64 }

func (c *counter) take() int64 { return c.n.Add(1) - 1 }

// keyLoad is a load of requests of the etcd API, each client with one in flight. Without run it is that of watches.
type keyLoad struct {
	part, name string
	clients    int // 1: at the leader; more: on connections that are spread over the members
	run        func(ctx context.Context, t *keyTeam, c *clientv3.Client) error
}

var keyLoads = []keyLoad{
	{"put", "put, 1 client", 1, putOne},
	{"put", "put, 100 clients", keyClients, putOne},
	{"range", "range, 1 client", 1, rangeLinearizable},
	{"range", "range, 100 clients", keyClients, rangeLinearizable},
	{"serializable", "serializable range, 100 clients", keyClients, rangeSerializable},
	{"txn", "txn with a put, 100 clients", keyClients, txnOne},
	{"lease", "lease keepalive, 100 clients", keyClients, keepAlive},
	{"watch", "watch", 0, nil},
}

// sequentialKey is the key with a number: keySize bytes.
func sequentialKey(n int64) string {
	var b [keySize]byte
	binary.BigEndian.PutUint64(b[:], uint64(n)) //nolint:gosec // of any kind
	return string(b[:])
}

// keyValue returns a value that does not compress to nothing.
func keyValue() string {
	b := make([]byte, valueSize)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return string(b)
}

var theValue = keyValue()

func putOne(ctx context.Context, t *keyTeam, c *clientv3.Client) error {
	_, err := c.Put(ctx, sequentialKey(t.next.take()%keySpace), theValue)
	return err
}

func txnOne(ctx context.Context, t *keyTeam, c *clientv3.Client) error {
	_, err := c.Txn(ctx).Then(clientv3.OpPut(sequentialKey(t.next.take()%keySpace), theValue)).Commit()
	return err
}

func rangeLinearizable(ctx context.Context, _ *keyTeam, c *clientv3.Client) error {
	return readOne(ctx, c)
}

func rangeSerializable(ctx context.Context, _ *keyTeam, c *clientv3.Client) error {
	return readOne(ctx, c, clientv3.WithSerializable())
}

// readKeys are the keys that are there from the beginning.
const readKeys = 1000

func readOne(ctx context.Context, c *clientv3.Client, o ...clientv3.OpOption) error {
	r, err := c.Get(ctx, sequentialKey(rand.Int64N(readKeys)), o...)
	if err == nil && len(r.Kvs) != 1 {
		err = errors.New("a key is missing")
	}
	return err
}

func keepAlive(ctx context.Context, t *keyTeam, c *clientv3.Client) error {
	_, err := c.KeepAliveOnce(ctx, t.lease)
	return err
}

// prepareLoads fills in the keys that are read and what else the loads need, and warms the servers up.
func (t *keyTeam) prepareLoads(ctx context.Context, warmUp time.Duration) error {
	if _, err := t.fillKeys(ctx, readKeys, keyClients); err != nil {
		return err
	}
	grant, err := t.leader.Grant(ctx, 1000)
	if err != nil {
		return err
	}
	t.lease = grant.ID
	for i := range keyLoads {
		if l := &keyLoads[i]; l.clients > 1 {
			if _, err := t.drive(ctx, l, warmUp/4); err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
		}
	}
	return nil
}

// fillKeys puts n keys that were not there.
func (t *keyTeam) fillKeys(ctx context.Context, n int64, clients int) (*Result, error) {
	var left atomic.Int64
	left.Store(n)
	return t.work(clients, func(c *clientv3.Client, h *Histogram) error {
		for left.Add(-1) >= 0 {
			begin := time.Now()
			if _, err := c.Put(ctx, sequentialKey(t.next.take()), theValue); err != nil {
				return err
			}
			h.Record(time.Since(begin))
		}
		return nil
	})
}

// drive puts a load on the servers for some time. The first error ends it.
func (t *keyTeam) drive(ctx context.Context, l *keyLoad, d time.Duration) (*Result, error) {
	ctx, cancel := context.WithTimeout(ctx, d+keyTimeout)
	defer cancel()
	var failed atomic.Bool
	end := time.Now().Add(d)
	return t.work(l.clients, func(c *clientv3.Client, h *Histogram) error {
		begin := time.Now()
		for begin.Before(end) && !failed.Load() {
			if err := l.run(ctx, t, c); err != nil {
				failed.Store(true)
				return err
			}
			now := time.Now()
			h.Record(now.Sub(begin))
			begin = now
		}
		return nil
	})
}

// work runs clients at the same time, and adds up what they have recorded. One alone works at the leader.
func (t *keyTeam) work(clients int, run func(*clientv3.Client, *Histogram) error) (*Result, error) {
	var wg sync.WaitGroup
	hists, errs := make([]Histogram, clients), make([]error, clients)
	begin := time.Now()
	for i := range clients {
		c := t.leader
		if clients > 1 {
			c = t.conns[i%len(t.conns)]
		}
		wg.Go(func() { errs[i] = run(c, &hists[i]) })
	}
	wg.Wait()
	res := &Result{Elapsed: time.Since(begin)}
	for i := range hists {
		res.Latency.Merge(&hists[i])
	}
	res.Ops = int64(res.Latency.Count()) //nolint:gosec // far from the bound
	return res, errors.Join(errs...)
}

// The load of watches.
const (
	keyWatchers = 100
	watchRate   = 500 // puts a second
	watchPuts   = 4   // that may be in flight
)

// watchLoad has watches see every one of the puts that are made at fixed times, and records how long after the put was sent each
// event came.
func (t *keyTeam) watchLoad(ctx context.Context, d time.Duration) (*Result, error) {
	ctx, cancel := context.WithTimeout(ctx, d+keyTimeout)
	defer cancel()
	t.watched++
	key := fmt.Sprintf("watched-%d", t.watched)
	var chans []clientv3.WatchChan
	for i := range keyWatchers {
		ch := t.conns[i%len(t.conns)].Watch(clientv3.WithRequireLeader(ctx), key, clientv3.WithCreatedNotify())
		if r, ok := <-ch; !ok || r.Err() != nil {
			return nil, fmt.Errorf("watch: %w", r.Err())
		}
		chans = append(chans, ch)
	}
	sent := make([]atomic.Int64, int(d.Seconds()*watchRate))
	begin := time.Now()
	puts := make(chan error, 1)
	go func() { puts <- t.putPaced(ctx, key, begin, sent) }()
	var wg sync.WaitGroup
	hists, errs := make([]Histogram, keyWatchers), make([]error, keyWatchers)
	for i, ch := range chans {
		wg.Go(func() { errs[i] = takeEvents(ch, begin, sent, &hists[i]) })
	}
	err := <-puts
	if err != nil {
		cancel()
	}
	wg.Wait()
	res := &Result{Elapsed: time.Since(begin)}
	for i := range hists {
		res.Latency.Merge(&hists[i])
	}
	res.Ops = int64(res.Latency.Count()) //nolint:gosec // far from the bound
	return res, errors.Join(append(errs, err)...)
}

// putPaced puts a number as often as sent is long, at fixed times.
func (t *keyTeam) putPaced(ctx context.Context, key string, begin time.Time, sent []atomic.Int64) error {
	var wg sync.WaitGroup
	errs := make([]error, watchPuts)
	for w := range watchPuts {
		wg.Go(func() {
			value := []byte(theValue)
			for i := w; i < len(sent) && errs[w] == nil; i += watchPuts {
				time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / watchRate)))
				binary.BigEndian.PutUint64(value, uint64(i)) //nolint:gosec // an index
				sent[i].Store(int64(time.Since(begin)))
				_, errs[w] = t.leader.Put(ctx, key, string(value))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// takeEvents takes as many events as sent is long.
func takeEvents(ch clientv3.WatchChan, begin time.Time, sent []atomic.Int64, h *Histogram) error {
	for n := 0; n < len(sent); {
		r, ok := <-ch
		now := time.Since(begin)
		if !ok || r.Err() != nil {
			return fmt.Errorf("watch, after %d events: %w", n, errors.Join(r.Err(), errClosed(ok)))
		}
		for _, e := range r.Events {
			if len(e.Kv.Value) != valueSize {
				return fmt.Errorf("watch: an event with %d bytes", len(e.Kv.Value))
			}
			i := binary.BigEndian.Uint64(e.Kv.Value)
			if i >= uint64(len(sent)) {
				return fmt.Errorf("watch: an event with number %d", i)
			}
			h.Record(now - time.Duration(sent[i].Load()))
			n++
		}
	}
	return nil
}

func errClosed(open bool) error {
	if open {
		return nil
	}
	return errors.New("the channel was closed")
}
