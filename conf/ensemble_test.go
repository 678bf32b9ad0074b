package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zebu/proto"
)

// inDir writes myid into a fresh data directory and returns the directory and lines for a zoo.cfg there.
func inDir(t *testing.T, myid string) (dir, lines string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "myid"), []byte(myid), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, "dataDir=" + dir + "\nclientPort=2181\ninitLimit=5\nsyncLimit=2\n"
}

const three = "server.1=a:1:2\nserver.3=c:1:2:observer\nserver.2=b:1:2\nserver.4=d:1:2\n"

func TestEnsemble(t *testing.T) {
	_, lines := inDir(t, "3\n")
	c := mustLoad(t, lines+three+"group.1=1:2\ngroup.2=4\nweight.4=2\n", Options{})
	q := c.Quorum
	if !c.Distributed() || q.ServerID != 3 || !q.Observer || q.Voters() != 3 || q.Config.Members[1].ID != 2 || q.Config.Member(4) == nil {
		t.Errorf("%+v", q)
	}
	const want = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:observer\nserver.4=d:1:2:participant\n" +
		"group.1=1:2\ngroup.2=4\nweight.1=1\nweight.2=1\nweight.4=2\nversion=0"
	if got := q.Config.String(); got != want {
		t.Errorf("ensemble %q", got)
	}
}

func TestEnsembleFaults(t *testing.T) {
	for _, c := range []struct{ name, myid, text, want string }{
		{"no myid", "", three, "myid"},
		{"stranger", "9", three, "no server line has the number 9"},
		{"limits", "1", three + "initLimit=0\n", "initLimit=0: expected a number of ticks"},
		{"not grouped", "1", three + "group.1=1:2\n", "server 4 is in no group"},
		{"grouped twice", "1", three + "group.1=1:2\ngroup.2=2:4\n", "server 2 is in more than one group"},
		{"grouped stranger", "1", three + "group.1=1:2:4:8\n", "names server 8, which has no server line"},
		{"bad group", "1", three + "group.1=a\n", "expected server ids between colons"},
		{"bad weight", "1", three + "weight.1=-2\n", "expected a whole number from 0"},
		{"grouping", "1", three + "groupie=1\n", "groupie=1: expected server.N, group.N or weight.N"},
		{"observers", "1", "server.1=a:1:2:observer\n", "expected a participant"},
		{"one voter", "1", "server.1=a:1:2\nserver.2=b:1:2:observer\n", "observers with one participant"},
		{"nobody", "1", "standaloneEnabled=false\n", "standaloneEnabled=false: is false, so at least one participant"},
		{"two addresses", "1", "server.1=a:1:2|b:1:2\n", "several addresses need multiAddress.enabled=true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, lines := inDir(t, c.myid)
			_, err := loadText(t, lines+c.text, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestDynamicFile(t *testing.T) {
	dir, lines := inDir(t, "1\n")
	path := filepath.Join(dir, "zoo.cfg.dynamic.10000000a")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(three + "server.1=a:1:2;0.0.0.0:2181\n")
	c := mustLoad(t, lines+"dynamicConfigFile="+path+"\n", Options{})
	if c.Quorum.Config.Version != 0x10000000a || len(c.Quorum.Config.Members) != 4 || c.Client.Addr.String() != "0.0.0.0:2181" {
		t.Errorf("%+v %v", c.Quorum, c.Client.Addr)
	}
	write(three + "version=5\ntickTime=1\n")
	_, err := loadText(t, lines+"dynamicConfigFile="+path+"\nserver.7=x:1:2\n", Options{})
	for _, want := range []string{
		"10000000a:5: version=5: must not stand in a dynamic file",
		"10000000a:6: tickTime=1: expected only server.N",
		"zoo.cfg:6: server.7=x:1:2: must stand in the dynamic file",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestDynamicFileVersion(t *testing.T) {
	dir, lines := inDir(t, "1\n")
	t.Chdir(dir)
	for name, want := range map[string]proto.Zxid{"zoo.cfg.dynamic": 0, "zoo.cfg.dynamic.0": 0, "face": 0, "d.face": 0xface, "d.10g": 0} {
		if err := os.WriteFile(name, []byte(three), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := mustLoad(t, lines+"dynamicConfigFile="+name+"\n", Options{}).Quorum.Config.Version; got != want {
			t.Errorf("%s: version %v", name, got)
		}
	}
}

// TestStandaloneEnabled: one participant is a standalone server unless it is told otherwise.
func TestStandaloneEnabled(t *testing.T) {
	for _, c := range []struct {
		text        string
		distributed bool
	}{
		{"", false},
		{"server.1=a:1:2\n", false},
		{"server.1=a:1:2\nstandaloneEnabled=false\n", true},
		{"server.1=a:1:2\nserver.2=b:1:2:observer\nstandaloneEnabled=false\n", true},
		{"server.1=a:1:2\nserver.2=b:1:2\n", true},
	} {
		_, lines := inDir(t, "1\n")
		if got := mustLoad(t, lines+c.text, Options{}).Distributed(); got != c.distributed {
			t.Errorf("%q: distributed is %v", c.text, got)
		}
	}
	dir := t.TempDir()
	c := mustLoad(t, "dataDir="+dir+"\nclientPort=2181\nserver.1=a:1:2\n", Options{}) // neither limits nor myid
	if c.Distributed() || c.Quorum.ServerID != -1 {
		t.Errorf("%+v", c.Quorum)
	}
}

func TestMyLine(t *testing.T) {
	for _, c := range []struct{ line, text, want string }{
		{"a:1:2", "clientPort=5", ":5 participant"},
		{"a:1:2;7", "", "0.0.0.0:7 participant"},
		{"a:1:2;10.0.0.1:7", "clientPort=7", "10.0.0.1:7 participant"},
		{"a:1:2;[::1]:7", "clientPort=7\nclientPortAddress=0:0:0:0:0:0:0:1", "[::1]:7 participant"},
		{"a:1:2;localhost:7", "clientPort=7\nclientPortAddress=127.0.0.1", "localhost:7 participant"},
		{"a:1:2;H:7", "clientPort=7\nclientPortAddress=h", "H:7 participant"},
		{"a:1:2;7", "clientPort=8", "! the client address :8 differs from"},
		{"a:1:2;10.0.0.1:7", "clientPort=7\nclientPortAddress=10.0.0.2", "! the client address 10.0.0.2:7 differs from"},
		{"a:1:2;h:7", "clientPort=7\nclientPortAddress=g", "! the client address g:7 differs from"},
		{"a:1:2", "", "! clientPort: is not set"},
		{"a:1:2:observer;7", "", "0.0.0.0:7 observer"},
		{"a:1:2:observer;7", "peerType=OBSERVER", "0.0.0.0:7 observer"},
		{"a:1:2:observer;7", "peerType=participant", "0.0.0.0:7 observer peerType"},
		{"a:1:2;7", "peerType=observer", "0.0.0.0:7 participant peerType"},
		{"a:1:2;7", "peerType=king", "! peerType=king: expected participant or observer"},
	} {
		dir, _ := inDir(t, "3\n")
		conf, err := loadText(t, "dataDir="+dir+"\ninitLimit=5\nsyncLimit=2\nserver.1=x:1:2\nserver.2=y:1:2\nserver.4=z:1:2\nserver.3="+c.line+"\n"+c.text+"\n", Options{})
		got := ""
		if err != nil {
			got = "! " + err.Error()
		} else {
			got = conf.Client.Addr.String() + map[bool]string{false: " participant", true: " observer"}[conf.Quorum.Observer]
			for _, w := range conf.Warnings() {
				if w.Key != "server" { // of the number of participants
					got += " " + w.Key
				}
			}
		}
		if want, fault := strings.CutPrefix(c.want, "! "); !strings.Contains(got, want) || fault != (err != nil) || !fault && got != want {
			t.Errorf("%s, %q: %s, want %s", c.line, c.text, got, c.want)
		}
	}
}
