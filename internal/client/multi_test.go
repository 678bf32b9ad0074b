package client_test

import (
	"errors"
	"testing"

	"zebu/internal/client"
	"zebu/proto"
	"zebu/server/servertest"
)

// TestMulti checks that a transaction is done as a whole, or not at all, below a chroot too.
func TestMulti(t *testing.T) {
	addr := servertest.Start(t)
	create(t, connect(t, client.Options{Servers: addr}), "/root", "", proto.Persistent)
	c := connect(t, client.Options{Servers: addr + "/root"})
	ops := []client.Op{
		{Op: proto.OpCreate, Path: "/a", Data: []byte("1"), ACL: client.OpenACL()},
		{Op: proto.OpCreate, Path: "/a/b", ACL: client.OpenACL()},
		{Op: proto.OpSetData, Path: "/a", Data: []byte("2"), Version: 0},
		{Op: proto.OpDelete, Path: "/a/b", Version: 7},
	}
	if err := c.Multi(limit(t), ops); !errors.Is(err, proto.ErrBadVersion) {
		t.Errorf("with a wrong version: %v", err)
	}
	if _, err := c.Exists(limit(t), "/a", false); !errors.Is(err, proto.ErrNoNode) {
		t.Errorf("a transaction that failed has done something: %v", err)
	}
	ops[3].Version = client.AnyVersion
	if err := c.Multi(limit(t), ops); err != nil {
		t.Fatal(err)
	}
	if data, st, err := c.Get(limit(t), "/a", false); err != nil || string(data) != "2" || st.Version != 1 || st.NumChildren != 0 {
		t.Errorf("%q %+v %v", data, st, err)
	}
}
