package etcdtest

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"zebu/gateway"
	"zebu/gateway/gatewaytest"
	"zebu/internal/freeport"
)

// patience is far more than anything here takes.
const patience = 20 * time.Second

// startEtcd runs an etcd server until the end of the test.
func startEtcd(t *testing.T) string {
	t.Helper()
	c := embed.NewConfig()
	c.Dir = t.TempDir()
	c.LogLevel = "error"
	c.LogOutputs = []string{"/dev/null"}
	c.UnsafeNoFsync = true
	any := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	own := url.URL{Scheme: "http", Host: freePort(t)} // its JSON gateway is a client of its port
	c.ListenClientUrls, c.ListenPeerUrls = []url.URL{own}, []url.URL{any}
	c.AdvertiseClientUrls, c.AdvertisePeerUrls = []url.URL{own}, []url.URL{any}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	e, err := embed.StartEtcd(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(patience):
		t.Fatal("etcd does not start")
	}
	versionSettles(t, e.Server)
	return e.Clients[0].Addr().String()
}

// versionSettles waits until the cluster has its version and the storage has followed, which etcd sees to after it has begun to serve.
func versionSettles(t *testing.T, s *etcdserver.EtcdServer) {
	t.Helper()
	late := time.After(patience)
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		cluster, storage := s.ClusterVersion(), s.StorageVersion()
		if cluster != nil && storage != nil && storage.Equal(*cluster) {
			return
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("etcd's cluster has version %v, its storage %v", cluster, storage)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := freeport.Next()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("127.0.0.1:", port)
}

// startGateway runs a gateway until the end of the test.
func startGateway(t *testing.T) string {
	t.Helper()
	_, _, addr := gatewaytest.Serve(t, gatewaytest.Options{}, gateway.Options{})
	return addr
}

// peers are the two servers.
func peers(t *testing.T) map[string]string {
	return map[string]string{"etcd": startEtcd(t), "zebu": startGateway(t)}
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// both runs the same on both servers and compares what it tells, line by line.
func both(t *testing.T, run func(t *testing.T, addr string) []string) {
	t.Helper()
	told := map[string][]string{}
	for name, addr := range peers(t) {
		told[name] = run(t, addr)
	}
	compare(t, told["etcd"], told["zebu"])
}

func compare(t *testing.T, etcd, zebu []string) {
	t.Helper()
	for i := range max(len(etcd), len(zebu)) {
		want, got := "nothing", "nothing"
		if i < len(etcd) {
			want = etcd[i]
		}
		if i < len(zebu) {
			got = zebu[i]
		}
		if want != got {
			t.Errorf("line %d:\netcd: %s\nzebu: %s", i, want, got)
		}
	}
}

// outcome tells of a response, or of an error with its code and text.
func outcome(resp any, err error) string {
	if err != nil {
		s, _ := status.FromError(err)
		return fmt.Sprintf("error %s: %s", s.Code(), s.Message())
	}
	return text(resp)
}

// text writes a message out, but for what is different in every cluster: ids and terms, of which it says only if they are there.
func text(m any) string {
	v := reflect.ValueOf(m).Elem()
	if h := v.FieldByName("Header"); h.IsValid() && !h.IsNil() {
		for _, name := range []string{"ClusterId", "MemberId", "RaftTerm"} {
			if f := h.Elem().FieldByName(name); f.Uint() != 0 {
				f.SetUint(1)
			}
		}
	}
	s := strings.TrimSpace(fmt.Sprint(m))
	return fmt.Sprintf("%s{%s}", v.Type().Name(), s)
}
