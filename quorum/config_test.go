package quorum

import (
	"strings"
	"testing"

	"zebu/proto"
)

// canonical holds texts and what ZooKeeper 3.9.5 makes of them (QuorumPeerConfig.parseDynamicConfig, then toString).
var canonical = []struct{ in, out string }{
	{
		"server.1=127.0.0.1:2888:3888\nserver.2=localhost:2889:3889:participant;2181\n" +
			"server.3=h3.example:1:2:observer;127.0.0.1:2183\nversion=100000003\n",
		"server.1=127.0.0.1:2888:3888:participant\nserver.2=localhost:2889:3889:participant;0.0.0.0:2181\n" +
			"server.3=h3.example:1:2:observer;127.0.0.1:2183\nversion=100000003",
	},
	{
		"server.3=[::1]:1:2;[fe80::1]:3\nserver.1=[2001:db8::A]:1:2:PARTICIPANT\nserver.2=b:3:4|a:1:2:participant\n",
		"server.1=[2001:db8:0:0:0:0:0:a]:1:2:participant\nserver.2=a:1:2|b:3:4:participant\n" +
			"server.3=[0:0:0:0:0:0:0:1]:1:2:participant;[fe80:0:0:0:0:0:0:1]:3\nversion=0",
	},
	{
		"server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer\n" +
			"group.2=3\ngroup.1=2:1\nweight.3=5\nweight.4=0\nversion=0\n",
		"server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\nserver.4=d:1:2:observer\n" +
			"group.1=1:2\ngroup.2=3\nweight.1=1\nweight.2=1\nweight.3=5\nweight.4=0\nversion=0",
	},
	{
		"# the first line for server 1 does not count\nserver.1=a:1:2\nserver.1=b:1:2\n\nserver.2=b:1:2:\nserver.3 = c:1:2:participant;\n",
		"server.1=b:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\nversion=0",
	},
	{
		"server.1=[::ffff:1.2.3.4]:1:2\r\nserver.2 b:1:2\nserver.3:c:1:2",
		"server.1=1.2.3.4:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\nversion=0",
	},
}

func TestCanonicalText(t *testing.T) {
	for _, c := range canonical {
		config, err := ParseConfig(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if got := config.String(); got != c.out {
			t.Errorf("%q:\n got %q\nwant %q", c.in, got, c.out)
		}
		again, err := ParseConfig(c.out)
		if err != nil || again.String() != c.out {
			t.Errorf("%q does not survive parsing: %v", c.out, err)
		}
		if !again.SameMembers(config) {
			t.Errorf("%q: other members after parsing", c.out)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "expected a participant",
		"version=0":                 "expected a participant", // what kills Apache ZooKeeper's election
		"server.1=a:1:2:observer":   "expected a participant",
		"server.1=a:1:2\nfoo=1":     "line 2: foo: expected",
		"server.x=a:1:2":            "line 1: server.x: expected a number",
		"server.-1=a:1:2":           "expected a number",
		"server.1=a:1":              "expected host:quorumPort:electionPort",
		"server.1=a":                "expected host:quorumPort:electionPort",
		"server.1=":                 "expected host:quorumPort:electionPort",
		"server.1=:1:2":             "expected host:quorumPort:electionPort",
		"server.1=::1:1:2":          "expected host:quorumPort:electionPort",
		"server.1=[::1:1:2":         "expected host:quorumPort:electionPort",
		"server.1=[::1]:":           "expected host:quorumPort:electionPort",
		"\nserver.1=a:1:1":          "line 2: server.1: expected different",
		"server.1=a:65536:2":        "quorum port",
		"server.1=a:1:x":            "election port",
		"server.1=a:1:2:learner":    `role "learner"`,
		"server.1=a:1:2;b:c:3":      "expected host",
		"server.1=a:1:2;b:c":        "client port",
		"server.1=a:1:2;b:1;c:1":    "expected host",
		"server.1=a:1:2;[::1]":      "expected host",
		`server.1=a\:1:2`:           "backslash",
		"server.1=a:1:2\nversion=z": "line 2: version",
		"server.1=a:1:2:observer|b:1:2:participant":                      "one role",
		"server.1=a:1:2\nweight.1=1":                                     "server 1 is in no group",
		"server.1=a:1:2\nweight.1=-1":                                    "line 2: weight.1",
		"server.1=a:1:2\ngroup.1=1:x":                                    "line 2: group.1",
		"server.1=a:1:2\ngroup.1=1:2":                                    "names server 2",
		"server.1=a:1:2\ngroup.1=1\ngroup.2=1":                           "more than one group",
		"server.1=a:1:2\nserver.2=b:1:2:observer\ngroup.1=1:2":           "observer without a weight",
		"server.0=a:1:2\n" + strings.Repeat("server.1=a:1:2\n", 100_000): "lines",
	} {
		c, err := ParseConfig(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, %v; want an error with %q", text, c, err, want)
		}
	}
}

func TestConfigMembers(t *testing.T) {
	c, err := ParseConfig("server.2=a:1:2:observer;7\nserver.1=b:1:2\nserver.5=c:1:2|d:3:4:participant\nversion=1f")
	if err != nil {
		t.Fatal(err)
	}
	if c.Voters().String() != "1,5" || c.Observers().String() != "2" || c.Version != 0x1f || c.Hierarchical() {
		t.Errorf("voters %v, observers %v, version %v", c.Voters(), c.Observers(), c.Version)
	}
	if m := c.Member(2); m == nil || m.Client != (proto.HostPort{Host: "0.0.0.0", Port: 7}) {
		t.Errorf("member 2: %v", m)
	}
	if m := c.Member(5); m == nil || len(m.Addrs) != 2 || m.Addrs[1] != (PeerAddr{"d", 3, 4}) {
		t.Errorf("member 5: %v", m)
	}
	if c.Member(3) != nil {
		t.Error("there is no member 3")
	}
	moved, err := ParseConfig("server.2=a:1:2:observer;8\nserver.1=b:1:2\nserver.5=c:1:2|d:3:4:participant\nversion=1f")
	if err != nil || moved.SameMembers(c) {
		t.Errorf("another client port is a change of members: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, c := range canonical {
		f.Add(c.in)
	}
	f.Add("server.1=a:1:2\nversion=z")
	f.Add("group.1=1:2\nweight.1=0\nserver.1=[::1]:1:2:observer;[::]:1")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConfig(text)
		if err != nil {
			return
		}
		again, err := ParseConfig(c.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", text, c, err)
		}
		if again.String() != c.String() || !again.SameMembers(c) {
			t.Fatalf("%q became %q, then %q", text, c, again)
		}
		v := c.Verifier()
		if v.HasQuorum(Set{}) {
			t.Fatalf("%q: nobody is a quorum", text)
		}
	})
}
