package conf

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"zebu/proto"
)

func TestParseMember(t *testing.T) {
	for text, want := range map[string]Member{
		"h:2888:3888":                    {Addrs: []PeerAddr{{"h", 2888, 3888}}},
		"h:2888:3888:observer":           {Addrs: []PeerAddr{{"h", 2888, 3888}}, Observer: true},
		"h:2888:3888:Participant;2181":   {Addrs: []PeerAddr{{"h", 2888, 3888}}, Client: Address("0.0.0.0", 2181)},
		"[::1]:2888:3888;[fe80::1]:2181": {Addrs: []PeerAddr{{"::1", 2888, 3888}}, Client: Address("fe80::1", 2181)},
		"a:1:2|b:3:4:participant;c:5":    {Addrs: []PeerAddr{{"a", 1, 2}, {"b", 3, 4}}, Client: Address("c", 5)},
		"h:1:2;":                         {Addrs: []PeerAddr{{"h", 1, 2}}},
	} {
		want.ID = 1
		if got, err := ParseMember(1, text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                                 "expected host:quorumPort",
		"h":                                "expected host:quorumPort",
		"h:1":                              "expected host:quorumPort",
		"h:1:2:observer:5":                 "expected host:quorumPort",
		"::1:1:2":                          "expected host:quorumPort",
		"[::1:1:2":                         "expected host:quorumPort",
		"[::1]:":                           "expected host:quorumPort",
		"h:1:2;a:b:c":                      "expected host:quorumPort",
		"h:x:2":                            `quorum port: "x"`,
		"h:1:70000":                        `election port: "70000"`,
		"h:1:1":                            "expected different quorum and election ports",
		"h:1:2:king":                       `role "king"`,
		"h:1:2:observer|i:1:2:participant": "expected one role",
		"h:1:2;x":                          `client port: "x"`,
		"h:1:2;3;4":                        "client port",
	} {
		if _, err := ParseMember(1, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
}

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
	if !c.Distributed() || q.ServerID != 3 || !q.Observer || q.Voters() != 3 || q.Servers[1].ID != 2 || q.Member(4) == nil || q.Member(5) != nil {
		t.Errorf("%+v", q)
	}
	if !reflect.DeepEqual(q.Groups, map[int64][]proto.ServerID{1: {1, 2}, 2: {4}}) || q.Weights[4] != 2 {
		t.Errorf("groups %v, weights %v", q.Groups, q.Weights)
	}
}

func TestEnsembleFaults(t *testing.T) {
	for _, c := range []struct{ name, myid, text, want string }{
		{"no myid", "", three, "myid"},
		{"stranger", "9", three, "no server line has the number 9"},
		{"limits", "1", three + "initLimit=0\n", "initLimit=0: expected a number of ticks"},
		{"not grouped", "1", three + "group.1=1:2\n", "server.4=d:1:2: is in no group"},
		{"grouped twice", "1", three + "group.1=1:2\ngroup.2=2:4\n", "server 2 is in group 1 already"},
		{"grouped stranger", "1", three + "group.1=1:2:4:8\n", "names server 8, which has no server line"},
		{"bad group", "1", three + "group.1=a\n", "expected server ids between colons"},
		{"bad weight", "1", three + "weight.1=-2\n", "expected a whole number, 0 or more"},
		{"grouping", "1", three + "groupie=1\n", "expected a number after groupie."},
		{"observers", "1", "server.1=a:1:2:observer\n", "observers alone make no ensemble"},
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
	if c.Quorum.Version != 0x10000000a || len(c.Quorum.Servers) != 4 || c.Client.Addr.String() != "0.0.0.0:2181" {
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
