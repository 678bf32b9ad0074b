package gateway

import (
	"context"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/adapter"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// localClient is a client of this server inside of the process, which calls the services directly: for locks and
// elections, whose services are programs of clients. They act in the name of who calls them, for they pass its context on.
func (s *Server) localClient() *clientv3.Client {
	c := clientv3.NewCtxClient(context.Background(), clientv3.WithZapLogger(s.Log))
	c.KV = clientv3.NewKVFromKVClient(adapter.KvServerToKvClient(&kvServer{s}), c)
	c.Lease = clientv3.NewLeaseFromLeaseClient(adapter.LeaseServerToLeaseClient(&leaseServer{s}), c, time.Second)
	watches := adapter.WatchServerToWatchClient(&watchServer{Server: s})
	c.Watcher = callersWatcher{clientv3.NewWatchFromWatchClient(watches, c)}
	return c
}

// callersWatcher keeps the watches of different callers on different streams: the client tells streams apart by the outgoing metadata
// alone, but each is opened in the name of its first watch's caller.
type callersWatcher struct{ clientv3.Watcher }

// Watch implements clientv3.Watcher.
func (w callersWatcher) Watch(ctx context.Context, key string, o ...clientv3.OpOption) clientv3.WatchChan {
	var credentials []string
	for _, field := range []string{rpctypes.TokenFieldNameGRPC, rpctypes.TokenFieldNameSwagger} {
		for _, token := range metadata.ValueFromIncomingContext(ctx, field) {
			credentials = append(credentials, field, token)
		}
	}
	if p, ok := peer.FromContext(ctx); ok && p.AuthInfo != nil {
		credentials = append(credentials, "peer", p.Addr.String()) // whose certificate may tell who it is
	}
	return w.Watcher.Watch(metadata.AppendToOutgoingContext(ctx, credentials...), key, o...)
}
