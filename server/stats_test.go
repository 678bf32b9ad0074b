package server

import (
	"testing"

	"github.com/go-zookeeper/zk"

	"zebu/internal/metrics"
)

// TestNamespaceMetrics: what fails is not counted, what a transaction does is, as on ZooKeeper.
func TestNamespaceMetrics(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	c := dial(t, s)
	world := zk.WorldACL(zk.PermAll)
	if _, err := c.Create("/app", []byte("12345"), 0, world); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Multi(&zk.CreateRequest{Path: "/app/x", Acl: world}, &zk.SetDataRequest{Path: "/app", Data: []byte("1"), Version: 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create("/app", nil, 0, world); err != zk.ErrNodeExists {
		t.Fatal(err)
	}
	if _, err := c.Create("/none/x", nil, 0, world); err != zk.ErrNoNode {
		t.Fatal(err)
	}
	if _, _, err := c.Exists("/random"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Get("/app"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.GetACL("/app"); err != nil {
		t.Fatal(err)
	}
	for _, set := range []struct {
		name string
		of   *metrics.SummarySet
		want map[string]uint64
	}{{"write", s.met.WritePerNamespace, map[string]uint64{"app": 3}}, {"read", s.met.ReadPerNamespace, map[string]uint64{"app": 1}}} {
		got := map[string]uint64{}
		set.of.Each(func(key string, m *metrics.Summary) { got[key] = uint64(m.Count()) })
		if len(got) != len(set.want) || got["app"] != set.want["app"] {
			t.Errorf("%s per namespace: %v, want %v", set.name, got, set.want)
		}
	}
	app := int64(0)
	s.met.WritePerNamespace.Each(func(_ string, m *metrics.Summary) { app = int64(m.Sum()) })
	if want := int64(len("/app12345" + "/app/x" + "/app1")); app != want {
		t.Errorf("%d bytes written under app, want %d", app, want)
	}
}
