package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/metadata"

	"zebu/gateway"
	"zebu/gateway/gatewaytest"
	"zebu/mvcc"
	"zebu/proto"
)

// TestWatchManyStreams sends the same events to many, of which some came late.
func TestWatchManyStreams(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	c, ctx := s.client(t), soon(t)
	const streams, events = 20, 200
	var wg sync.WaitGroup
	begin := func(from int64) {
		// Each context's metadata is a stream of its own.
		ctx := metadata.AppendToOutgoingContext(ctx, "stream", fmt.Sprint(from))
		watching := c.Watch(ctx, "k", clientv3.WithPrefix(), clientv3.WithRev(2), clientv3.WithCreatedNotify(), clientv3.WithPrevKV())
		<-watching
		wg.Go(func() {
			next := int64(2)
			for r := range watching {
				for _, e := range r.Events {
					if e.Kv.ModRevision != next || string(e.Kv.Value) != fmt.Sprint(next-2) || e.PrevKv != nil && e.PrevKv.ModRevision >= next {
						t.Errorf("%v instead of revision %d", e, next)
						return
					}
					next++
				}
				if next == events+2 {
					return
				}
			}
			t.Errorf("the watch ended at %d", next)
		})
	}
	for i := range events {
		if i%(events/streams) == 0 {
			begin(int64(i))
		}
		must[*clientv3.PutResponse](t)(c.Put(ctx, fmt.Sprint("k", i%7), fmt.Sprint(i)))
	}
	wg.Wait()
}

// TestWatchFragments has large messages come in parts, which the client joins.
func TestWatchFragments(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{MaxRequestBytes: 1 << 20})
	c, ctx := s.client(t), soon(t)
	const n = 8
	for i := range n {
		must[*clientv3.PutResponse](t)(c.Put(ctx, fmt.Sprint("k", i), strings.Repeat("x", 1<<19)))
	}
	r := <-c.Watch(ctx, "k", clientv3.WithPrefix(), clientv3.WithRev(1), clientv3.WithFragment())
	if len(r.Events) != n {
		t.Errorf("%d events in the first response", len(r.Events))
	}
}

func TestWatchCompacted(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	c, ctx := s.client(t), soon(t)
	for i := range 5 {
		must[*clientv3.PutResponse](t)(c.Put(ctx, "k", fmt.Sprint(i)))
	}
	must[*clientv3.CompactResponse](t)(c.Compact(ctx, 4))
	r := <-c.Watch(ctx, "k", clientv3.WithRev(3))
	if !errors.Is(r.Err(), rpctypes.ErrCompacted) || r.CompactRevision != 4 {
		t.Errorf("%+v", r)
	}
}

// TestWatchProgress has a quiet watch told how far it is, by the clock and when asked.
func TestWatchProgress(t *testing.T) {
	s := start(t, gatewaytest.Options{Progress: 20 * time.Millisecond}, gateway.Options{})
	c, ctx := s.client(t), soon(t)
	must[*clientv3.PutResponse](t)(c.Put(ctx, "other", ""))
	watching := c.Watch(ctx, "k", clientv3.WithProgressNotify())
	for range 2 {
		if r := <-watching; !r.IsProgressNotify() || r.Header.Revision != 2 {
			t.Errorf("%+v", r)
		}
	}
	other := c.Watch(ctx, "x", clientv3.WithCreatedNotify())
	<-other
	if err := c.RequestProgress(ctx); err != nil {
		t.Fatal(err)
	}
	if r := <-other; !r.IsProgressNotify() {
		t.Errorf("%+v", r)
	}
}

// proxy passes connections on, and cuts them when told.
type proxy struct {
	net.Listener
	to    string
	mu    sync.Mutex
	conns []net.Conn
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	p := &proxy{Listener: must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0")), to: to}
	t.Cleanup(func() { p.Close(); p.cut() })
	go func() {
		for {
			c, err := p.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, c, far)
			p.mu.Unlock()
			go pass(c, far)
			go pass(far, c)
		}
	}()
	return p
}

func pass(to, from net.Conn) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if n > 0 {
			to.Write(b[:n])
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// TestWatchResumes cuts connections again and again: a client's watch has all events once and in order nevertheless.
func TestWatchResumes(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	direct, ctx := s.client(t), soon(t)
	p := startProxy(t, s.addr)
	c := must[*clientv3.Client](t)(clientv3.New(clientv3.Config{Endpoints: []string{p.Addr().String()}, DialTimeout: patience, Logger: zap.NewNop()}))
	defer c.Close()
	watching := c.Watch(ctx, "k", clientv3.WithCreatedNotify())
	<-watching
	const events = 60
	var puts sync.WaitGroup
	defer puts.Wait() // an event may be here before its put is answered
	puts.Go(func() {
		for i := range events {
			if _, err := direct.Put(ctx, "k", fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
			if i%20 == 10 {
				p.cut()
			}
		}
	})
	next := 0
	for r := range watching {
		for _, e := range r.Events {
			if string(e.Kv.Value) != fmt.Sprint(next) {
				t.Fatalf("%s instead of %d", e.Kv.Value, next)
			}
			next++
		}
		if next == events {
			return
		}
	}
	t.Fatal("the watch ended")
}

// TestSlowWatch has a client that does not read: it holds up nobody, and has everything when it reads again.
func TestSlowWatch(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	c, ctx := s.client(t), soon(t)
	slow := must[pb.Watch_WatchClient](t)(pb.NewWatchClient(s.dial(t)).Watch(ctx))
	create := &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("k")}}
	if err := slow.Send(&pb.WatchRequest{RequestUnion: create}); err != nil {
		t.Fatal(err)
	}
	must[*pb.WatchResponse](t)(slow.Recv())
	const events = 4000
	value := strings.Repeat("x", 1000)
	for range events {
		must[*clientv3.PutResponse](t)(c.Put(ctx, "k", value))
	}
	for next := int64(2); next < events+2; {
		for _, e := range must[*pb.WatchResponse](t)(slow.Recv()).Events {
			if e.Kv.ModRevision != next {
				t.Fatalf("revision %d instead of %d", e.Kv.ModRevision, next)
			}
			next++
		}
	}
}

// TestLeaderless ends the streams of clients that require a leader, and refuses their calls; others go on.
func TestLeaderless(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{ElectionTimeout: 10 * time.Millisecond})
	c, ctx := s.client(t), soon(t)
	needs := c.Watch(clientv3.WithRequireLeader(ctx), "k", clientv3.WithCreatedNotify())
	calm := c.Watch(ctx, "k", clientv3.WithCreatedNotify())
	<-needs
	<-calm
	stream := must[pb.Lease_LeaseKeepAliveClient](t)(pb.NewLeaseClient(s.dial(t)).LeaseKeepAlive(clientv3.WithRequireLeader(ctx)))
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: 1}); err != nil {
		t.Fatal(err)
	}
	must[*pb.LeaseKeepAliveResponse](t)(stream.Recv())
	s.node.SetLeader(proto.NoServer)
	if r := <-needs; !errors.Is(r.Err(), rpctypes.ErrNoLeader) {
		t.Errorf("watch: %v", r.Err())
	}
	if _, err := stream.Recv(); rpctypes.ErrorDesc(err) != rpctypes.ErrorDesc(rpctypes.ErrGRPCNoLeader) {
		t.Errorf("keepalive: %v", err)
	}
	kv := pb.NewKVClient(s.dial(t))
	if _, err := kv.Range(clientv3.WithRequireLeader(ctx), &pb.RangeRequest{Key: []byte("k"), Serializable: true}); rpctypes.ErrorDesc(err) != "etcdserver: no leader" {
		t.Errorf("range: %v", err)
	}
	if _, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte("k"), Serializable: true}); err != nil {
		t.Errorf("range of the local state: %v", err)
	}
	s.node.SetLeader(1)
	must[*clientv3.PutResponse](t)(c.Put(ctx, "k", ""))
	if r := <-calm; len(r.Events) != 1 {
		t.Errorf("the other watch: %+v", r)
	}
}

// denying is an Authenticator that knows the user of a token by its name, and permits him what his name begins with.
type denying struct{ gateway.Authenticator }

func (denying) Identify(ctx context.Context) (string, uint64, error) {
	if v := metadata.ValueFromIncomingContext(ctx, "token"); len(v) > 0 {
		return v[0], 7, nil
	}
	return "", 0, nil
}

func (denying) Permit(_ *mvcc.Store, user string, revision uint64, r mvcc.Message) error {
	w, ok := r.(*pb.WatchCreateRequest)
	switch {
	case user == "" || revision != 7:
		return rpctypes.ErrGRPCUserEmpty
	case ok && !strings.HasPrefix(string(w.Key), user):
		return rpctypes.ErrGRPCPermissionDenied
	}
	return nil
}

// TestWatchRefusalsInOrder has some watches refused for want of permission: the answers come in the order of the requests.
func TestWatchRefusalsInOrder(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{Authenticator: denying{}})
	ctx := metadata.AppendToOutgoingContext(soon(t), "token", "u")
	stream := must[pb.Watch_WatchClient](t)(pb.NewWatchClient(s.dial(t)).Watch(ctx))
	keys := strings.Split("u1 x u2 x x u3 u4 x", " ")
	for round := range 20 {
		for _, key := range keys {
			create := &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte(key)}}
			if err := stream.Send(&pb.WatchRequest{RequestUnion: create}); err != nil {
				t.Fatal(err)
			}
		}
		id := int64(4 * round)
		for _, key := range keys {
			r := must[*pb.WatchResponse](t)(stream.Recv())
			want := pb.WatchResponse{WatchId: id, Created: true}
			if key == "x" {
				want = pb.WatchResponse{WatchId: -1, Created: true, Canceled: true, CancelReason: rpctypes.ErrGRPCPermissionDenied.Error()}
			} else {
				id++
			}
			if r.Header = nil; r.String() != want.String() {
				t.Fatalf("%s: %v instead of %v", key, r, &want)
			}
		}
	}
}
