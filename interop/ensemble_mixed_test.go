package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// TestMixedEnsembles lets zebu and both releases of Apache ZooKeeper lead and follow each other in every combination, and takes
// every member through what clients do. The last of the three leads.
func TestMixedEnsembles(t *testing.T) {
	for _, kinds := range [][]string{
		{"zebu", "zebu", "zebu"},
		{"zebu", "3.9", "zebu"},
		{"3.8", "zebu", "zebu"},
		{"3.8", "3.9", "zebu"},
		{"zebu", "zebu", "3.9"},
		{"3.8", "zebu", "3.9"},
		{"zebu", "zebu", "3.8"},
		{"zebu", "3.9", "3.8"},
	} {
		t.Run(strings.Join(kinds, "_"), func(t *testing.T) {
			t.Parallel()
			e := ensembleOf(t, kinds...)
			e.lead(3)
			all := e.through(10 * time.Second)
			nodes(t, all)
			errorsEverywhere(t, all)
			multis(t, all)
			ephemerals(t, all, e)
			move(t, all, e)
			expire(t, all, e)
			load(t, all, "/load", 300)
			e.same()
			if n := e.watch.compared(); n < 2 {
				t.Errorf("digests compared at %d zxids only", n)
			}
		})
	}
}

// nodes creates and changes nodes through every member.
func nodes(t *testing.T, all []*client) {
	t.Helper()
	for i, c := range all {
		path := fmt.Sprintf("/node%d", i)
		c.mustCreate(path, "first", 0)
		everywhere(t, all, path)
		other := all[(i+1)%len(all)]
		watching := all[(i+2)%len(all)]
		_, _, changed, err := watching.GetW(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Set(path, []byte("second"), 0); err != nil {
			t.Fatalf("set through %s: %v", other.Server(), err)
		}
		watching.event(changed, zk.EventNodeDataChanged, path)
		everywhere(t, all, path)
		if _, err := c.SetACL(path, zk.AuthACL(zk.PermAll), -1); err == nil {
			t.Error("an ACL of nobody's identities was taken")
		}
		if _, err := other.SetACL(path, zk.WorldACL(zk.PermAll&^zk.PermCreate), 0); err != nil {
			t.Errorf("setACL: %v", err)
		}
		everywhere(t, all, path)
	}
	all[0].mustCreate("/sequence", "", 0)
	for i := range 3 * len(all) {
		want := fmt.Sprintf("/sequence/n%010d", i)
		if got := all[i%len(all)].mustCreate("/sequence/n", "", zk.FlagSequence); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if err := all[1].Delete("/sequence/n0000000004", 0); err != nil {
		t.Error(err)
	}
	everywhere(t, all, "/sequence")
	everywhere(t, all, "/sequence/n0000000004")
}

// errorsEverywhere makes requests that fail, through every member, with others between them that do not.
func errorsEverywhere(t *testing.T, all []*client) {
	t.Helper()
	all[0].mustCreate("/errors", "", 0)
	all[0].mustCreate("/errors/child", "", 0)
	all[0].mustCreate("/errors/locked", "", 0)
	if _, err := all[0].SetACL("/errors/locked", zk.DigestACL(zk.PermAll, "a", "b"), -1); err != nil {
		t.Fatal(err)
	}
	for i, c := range all {
		c.mustSync()
		_, err := c.Create("/errors", nil, 0, worldACL)
		c.wantErr("create", err, zk.ErrNodeExists)
		_, err = c.Create("/none/child", nil, 0, worldACL)
		c.wantErr("create", err, zk.ErrNoNode)
		c.wantErr("delete", c.Delete("/errors", -1), zk.ErrNotEmpty)
		c.wantErr("delete", c.Delete("/errors/none", -1), zk.ErrNoNode)
		_, err = c.Set("/errors/child", nil, 99)
		c.wantErr("set", err, zk.ErrBadVersion)
		_, err = c.Create("/errors/locked/child", nil, 0, worldACL)
		c.wantErr("create", err, zk.ErrNoAuth)
		_, err = c.Create("/errors/acl", nil, 0, []zk.ACL{})
		c.wantErr("create", err, zk.ErrInvalidACL)
		c.mustCreate(fmt.Sprintf("/errors/good%d", i), "", 0)
		ephemeral := c.mustCreate(fmt.Sprintf("/errors/ephemeral%d", i), "", zk.FlagEphemeral)
		_, err = c.Create(ephemeral+"/child", nil, 0, worldACL)
		c.wantErr("create", err, zk.ErrNoChildrenForEphemerals)
		c.wantErr("delete", c.Delete(ephemeral, 0), nil)
	}
	// Identities travel with requests to the leader.
	if err := all[len(all)-2].AddAuth("digest", []byte("a:b")); err != nil {
		t.Fatal(err)
	}
	all[len(all)-2].mustCreate("/errors/locked/child", "", 0)
	everywhere(t, all[len(all)-2:len(all)-1], "/errors/locked/child")
}

// multis makes transactions of several operations, good ones and bad ones.
func multis(t *testing.T, all []*client) {
	t.Helper()
	all[0].mustCreate("/multi", "", 0)
	for i, c := range all {
		c.mustSync()
		path := fmt.Sprintf("/multi/%d", i)
		_, err := c.Multi(
			&zk.CreateRequest{Path: path, Acl: worldACL},
			&zk.CreateRequest{Path: path + "/a", Acl: worldACL, Flags: zk.FlagSequence},
			&zk.CreateRequest{Path: path + "/b", Acl: worldACL},
			&zk.SetDataRequest{Path: path, Data: []byte("set"), Version: 0},
			&zk.CheckVersionRequest{Path: path, Version: 1},
			&zk.DeleteRequest{Path: path + "/b", Version: -1},
		)
		if err != nil {
			t.Errorf("multi through %s: %v", c.Server(), err)
		}
		everywhere(t, all, path)
		everywhere(t, all, path+"/a0000000000")
		_, err = c.Multi(&zk.CreateRequest{Path: path + "/bad", Acl: worldACL}, &zk.CheckVersionRequest{Path: path, Version: 77})
		c.wantErr("multi", err, zk.ErrBadVersion)
		everywhere(t, all, path)
		everywhere(t, all, path+"/bad")
	}
}

// ephemerals come and go with sessions; members other than the session's see it too.
func ephemerals(t *testing.T, all []*client, e *ensemble) {
	t.Helper()
	for i, id := range e.running() {
		owner := connect(t, 10*time.Second, e.seat(id).addr())
		watching := all[(i+1)%len(all)]
		path := fmt.Sprintf("/ephemeral%d", i)
		watching.mustSync()
		_, _, created, err := watching.ExistsW(path)
		if err != nil {
			t.Fatal(err)
		}
		owner.mustCreate(path, "", zk.FlagEphemeral)
		watching.event(created, zk.EventNodeCreated, path)
		everywhere(t, all, path)
		_, _, gone, err := watching.ExistsW(path)
		if err != nil {
			t.Fatal(err)
		}
		owner.Close()
		watching.event(gone, zk.EventNodeDeleted, path)
		everywhere(t, all, path)
	}
}

// move takes a session from member to member, and back: it keeps its ephemeral node and its watches.
func move(t *testing.T, all []*client, e *ensemble) {
	t.Helper()
	ids := e.running()
	p := newProxy(t, e.seat(ids[0]).addr())
	c := connect(t, 10*time.Second, p.addr())
	session := c.SessionID()
	path := c.mustCreate("/moving", "0", zk.FlagEphemeral)
	for i, id := range append(slices.Clone(ids[1:]), ids[0]) {
		_, _, changed, err := c.GetW(path)
		if err != nil {
			t.Fatal(err)
		}
		p.set("", true)
		want := fmt.Sprint(i + 1)
		if _, err := all[i%len(all)].Set(path, []byte(want), -1); err != nil { // while it is away
			t.Fatal(err)
		}
		p.set(e.seat(id).addr(), false)
		c.event(changed, zk.EventNodeDataChanged, path)
		c.mustSync()
		b, st, err := c.Get(path)
		if err != nil || string(b) != want || st.EphemeralOwner != session || c.SessionID() != session {
			t.Errorf("after the move to %v: %q %+v %v of session %x, was %x", e.seat(id), b, st, err, c.SessionID(), session)
		}
		c.mustCreate(fmt.Sprintf("/moved%d", i), "", 0) // a write as well, by the new owner
	}
	c.Close()
	everywhere(t, all, path)
}

// expire lets sessions at every member end for lack of a client.
func expire(t *testing.T, all []*client, e *ensemble) {
	t.Helper()
	var gone []<-chan zk.Event
	path := func(i int) string { return fmt.Sprintf("/expiring%d", i) }
	for i, id := range e.running() {
		p := newProxy(t, e.seat(id).addr())
		c := connect(t, time.Second, p.addr())
		c.mustCreate(path(i), "", zk.FlagEphemeral)
		all[i].mustSync()
		there, _, w, err := all[i].ExistsW(path(i))
		if err != nil || !there {
			t.Fatal(there, err)
		}
		gone = append(gone, w)
		p.set("", true)
	}
	for i, w := range gone {
		all[i].event(w, zk.EventNodeDeleted, path(i))
		everywhere(t, all, path(i))
	}
}
