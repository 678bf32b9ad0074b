package znode

import (
	"testing"

	"zebu/proto"
)

// Captured from Apache ZooKeeper 3.8 and 3.9: the digest of an empty server (spec 9).
const emptyDigest = 1371985504

func TestNewTree(t *testing.T) {
	tr := New(Options{})
	if d, ok := tr.Digest(); d != emptyDigest || !ok {
		t.Errorf("digest %d %v, want %d", d, ok, emptyDigest)
	}
	if n := tr.NodeCount(); n != 5 {
		t.Errorf("NodeCount %d, want 5", n)
	}
	if n := tr.DataSize(); n != 44 {
		t.Errorf("DataSize %d, want 44", n)
	}
	if n := tr.Descendants(tr.Lookup("/")); n != 3 {
		t.Errorf("Descendants(/) = %d, want 3", n)
	}
	if n := tr.Descendants(tr.Lookup("/zookeeper")); n != 2 {
		t.Errorf("Descendants(/zookeeper) = %d, want 2", n)
	}
	var st proto.Stat
	config := tr.Lookup("/zookeeper/config")
	tr.Stat(config, &st)
	if want := (proto.Stat{Aversion: -1}); st != want {
		t.Errorf("config's stat %+v, want %+v", st, want)
	}
	if acl := tr.ACL(config); len(acl) != 1 || acl[0].Perms != proto.PermRead {
		t.Errorf("config's ACL %v", acl)
	}
	if d := config.Data(); d == nil || len(d) != 0 {
		t.Errorf("config's data %v, want empty and not null", d)
	}
	for _, path := range []string{"x", "/x", "//", "/zookeeper/", "zookeeper", "/zookeeper//quota", "/zookeeper/quota/"} {
		if tr.Lookup(path) != nil {
			t.Errorf("Lookup(%q) finds something", path)
		}
	}
	if tr.Lookup("") == nil || tr.Lookup("") != tr.Lookup("/") {
		t.Error(`"" and "/" are not the same node`)
	}
}
