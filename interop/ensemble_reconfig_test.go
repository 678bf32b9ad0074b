package interop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"zebu/proto"
	"zebu/quorum"
)

// TestMixedReconfiguration changes the members of ensembles of zebu and Apache ZooKeeper: an observer joins and becomes a participant, a
// follower is removed, and at last the leader removes itself. Everybody has the same configuration after each step, in
// the tree and on disk, and servers start again from what they have written - the other maker's as well.
func TestMixedReconfiguration(t *testing.T) {
	for _, c := range []struct {
		kinds  []string // the last one leads
		joiner string
	}{
		{[]string{"3.9", "zebu", "zebu"}, "3.9"},
		{[]string{"zebu", "3.9", "3.9"}, "zebu"},
		{[]string{"zebu", "3.8", "zebu"}, "zebu"},
		{[]string{"3.8", "zebu", "3.8"}, "3.9"},
		{[]string{"zebu", "zebu", "zebu"}, "zebu"},
	} {
		t.Run(strings.Join(c.kinds, "_")+"_and_"+c.joiner, func(t *testing.T) {
			t.Parallel()
			e := ensembleOf(t, c.kinds...)
			e.reconfig = true
			e.lines = append(e.lines, "reconfigEnabled=true")
			e.lead(3)
			reconfigure(t, e, c.joiner)
		})
	}
}

func reconfigure(t *testing.T, e *ensemble, joiner string) {
	t.Helper()
	atLeader, atFollower := admin(t, e.seat(3)), admin(t, e.seat(2))
	e.sameConfig(1, 2, 3)
	load(t, []*client{atFollower}, "/before", 150)

	four := e.add(joiner + "+o")
	e.start(4)
	atFollower.reconfig([]string{"server.4=" + four.spec(four.quorum)}, nil)
	e.sameConfig(1, 2, 3, 4)
	if mode := four.mode(); mode != "observer" {
		t.Errorf("member 4 is a %s", mode)
	}
	load(t, []*client{atLeader, admin(t, four)}, "/observed", 150)

	four.observer = false
	atLeader.reconfig([]string{"server.4=" + four.spec(four.quorum)}, nil)
	e.sameConfig(1, 2, 3, 4)
	e.becomes(4, "follower")
	load(t, []*client{atLeader, admin(t, four)}, "/joined", 150)
	e.same()

	atFollower.replace(e.seat(2), e.seat(3), four)
	e.sameConfig(2, 3, 4)
	e.stop(1)
	load(t, []*client{atFollower, admin(t, four)}, "/removed", 150)

	atFollower.reconfig(nil, []string{"3"})
	e.sameConfig(2, 4)
	e.stop(3)
	load(t, []*client{atFollower, admin(t, four)}, "/resigned", 150)
	e.same()
	if atFollower.lost() {
		t.Error("the session was lost")
	}

	for range 2 { // with each other's files, too
		e.stop(2)
		e.stop(4)
		e.launch(2, 4)
		e.serving(2, 4)
		e.sameConfig(2, 4)
		atFollower.mustSync()
		e.same()
		e.seat(2).maker, e.seat(4).maker = e.seat(4).maker, e.seat(2).maker
	}
}

// admin is a client with the rights to reconfigure.
func admin(t *testing.T, m *seat) *client {
	t.Helper()
	c := connect(t, 30*time.Second, m.addr())
	if err := c.AddAuth("digest", []byte("super:test")); err != nil {
		t.Fatal(err)
	}
	return c
}

// reconfig adds and removes members. A connection that breaks is no answer: a server whose leader changes may end it at once.
func (c *client) reconfig(joining, leaving []string) {
	c.t.Helper()
	c.t.Logf("%s reconfig +%v -%v", time.Now().UTC().Format(logTime), joining, leaving)
	if _, err := c.IncrementalReconfig(joining, leaving, -1); err != nil && !errors.Is(err, zk.ErrConnectionClosed) {
		c.t.Fatalf("reconfig +%v -%v: %v", joining, leaving, err)
	}
}

// replace names all members anew.
func (c *client) replace(members ...*seat) {
	c.t.Helper()
	var all []string
	for _, m := range members {
		all = append(all, fmt.Sprintf("server.%d=%s", m.id, m.spec(m.quorum)))
	}
	c.t.Logf("%s reconfig %v", time.Now().UTC().Format(logTime), all)
	if _, err := c.Reconfig(all, -1); err != nil && !errors.Is(err, zk.ErrConnectionClosed) {
		c.t.Fatalf("reconfig %v: %v", all, err)
	}
}

// becomes waits until a member has a role.
func (e *ensemble) becomes(id int, mode string) {
	e.t.Helper()
	poll(e.t, 30*time.Second, fmt.Sprintf("member %v as a %s", e.seat(id), mode), func() bool { return e.seat(id).mode() == mode })
}

// sameConfig waits until members have the same configuration, which has them all, and no others but those that run: in the tree and
// in the files that they would start from.
func (e *ensemble) sameConfig(ids ...int) {
	e.t.Helper()
	var say string
	poll(e.t, 15*time.Second, "common configuration", func() bool {
		want := ""
		for _, id := range ids {
			text, err := e.config(id)
			if err != nil {
				say = err.Error()
				return false
			}
			if want == "" {
				want = text
			}
			file, err := e.seat(id).configFile()
			if err != nil {
				say = err.Error()
				return false
			}
			if text != want || file != want {
				say = fmt.Sprintf("member %v has\n%s\nand in its file\n%s\nwant\n%s", e.seat(id), text, file, want)
				return false
			}
		}
		c, err := quorum.ParseConfig(want)
		if err != nil {
			e.t.Fatal(err)
		}
		say = "members are missing, or too many, in\n" + want
		for _, id := range ids {
			if m := c.Member(proto.ServerID(id)); m == nil || m.Observer != e.seat(id).observer {
				return false
			}
		}
		return len(c.Members) == len(ids)
	}, &say)
	e.t.Logf("%s same configuration", time.Now().UTC().Format(logTime))
}

// config is the text of the configuration in a member's tree.
func (e *ensemble) config(id int) (string, error) {
	var r proto.GetDataResponse
	err := e.seat(id).visit(func(w *wire) error {
		b, err := w.must(proto.OpGetData, &proto.PathWatchRequest{Path: "/zookeeper/config"})
		if err != nil {
			return err
		}
		d := proto.NewDecoder(b)
		r.Decode(&d)
		return d.Err()
	})
	return string(r.Data), err
}

// configFile is the text of the configuration as zoo.cfg refers to it.
func (m *seat) configFile() (string, error) {
	b, err := os.ReadFile(filepath.Join(m.dir, "zoo.cfg"))
	if err != nil {
		return "", err
	}
	name := field(string(b), "dynamicConfigFile=")
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("the dynamic configuration of %v: %w; zoo.cfg is\n%s", m, err, b)
	}
	for _, stale := range []string{"server.", "clientPort"} {
		if strings.Contains("\n"+string(b), "\n"+stale) {
			return "", fmt.Errorf("zoo.cfg of %v still has %s\n%s", m, stale, b)
		}
	}
	if _, err := os.Stat(filepath.Join(m.dir, "zoo.cfg.dynamic.next")); err == nil {
		return "", fmt.Errorf("%v still has a proposed configuration", m)
	}
	return strings.TrimRight(string(text), "\n") + "\nversion=" + name[strings.LastIndex(name, ".")+1:], nil
}
