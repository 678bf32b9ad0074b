package quorum

import (
	"errors"
	"strings"
	"testing"

	"zebu/proto"
)

const base = "server.1=h1:1:2:participant;0.0.0.0:3\nserver.2=h2:1:2:participant\nserver.3=[2001:db8::3]:1:2:participant;10.0.0.3:3\n"

func TestNext(t *testing.T) {
	const majority = "server.1=h1:1:2:participant\nserver.2=h2:1:2:participant\n"
	for _, c := range []struct {
		name, joining, leaving, members string
		rules                           Rules
		want                            string // without the version; or behind ! what the error says
	}{
		{name: "nothing", want: strings.Replace(base, "2001:db8::3", "2001:db8:0:0:0:0:0:3", 1)},
		{name: "leaves", leaving: "3,9", want: "server.1=h1:1:2:participant;0.0.0.0:3\nserver.2=h2:1:2:participant\n"},
		{name: "all leave", leaving: "1,2,3", want: "!0 participants are too few"},
		{name: "one is left", leaving: "1,2", rules: Rules{Standalone: true}, want: "!1 participants are too few"},
		{name: "one is enough", leaving: "1,3", want: "server.2=h2:1:2:participant\n"},
		{name: "moves", joining: "server.2=h9:1:2;4", leaving: "1,3", want: "server.2=h9:1:2:participant;0.0.0.0:4\n"},
		{name: "leaves and joins", joining: "server.1=h9:1:2:observer;4", leaving: "1,3", want: "server.1=h9:1:2:observer;0.0.0.0:4\nserver.2=h2:1:2:participant\n"},
		{name: "name taken", joining: "server.4=H2:5:1;4", want: "!h2:1 is an address of server 2"},
		{name: "address taken", joining: "server.4=[2001:DB8:0::3]:2:5;4", want: "!2001:db8::3:2 is an address of server 3"},
		{name: "client address taken", joining: "server.4=10.0.0.3:5:6;[::ffff:10.0.0.3]:3", want: "!10.0.0.3:3 is an address of server 3"},
		{name: "own address", joining: "server.3=[2001:db8::3]:1:2;3", leaving: "1", want: "server.2=h2:1:2:participant\nserver.3=[2001:db8:0:0:0:0:0:3]:1:2:participant;0.0.0.0:3\n"},
		{name: "two addresses", joining: "server.4=h4:1:2|h5:1:2;3", want: "!need multiAddress.enabled"},
		{name: "two addresses allowed", joining: "server.4=h5:1:2|h4:1:2;3", leaving: "1,2,3", rules: Rules{MultiAddress: true}, want: "server.4=h4:1:2|h5:1:2:participant;0.0.0.0:3\n"},
		{name: "backslash", joining: `server.4=h\4:1:2;3`, want: "!expected host"},
		{name: "no port", joining: "server.4=h4:1:2", want: "!expected a client port"},
		{name: "no server", joining: "4", want: "!expected server.N="},
		{name: "negative", joining: "server.-4=h4:1:2;3", want: "!malformed"},
		{name: "id", leaving: "1,,x", want: "!malformed"},
		{name: "members", members: "server.2=h2:1:2,server.1=h1:1:2", rules: Rules{Standalone: true}, want: majority},
		{name: "members and version", members: "server.2=h2:1:2\nversion=ff,\n# none\nserver.1=h1:1:2", want: majority},
		{name: "no members", members: ",", rules: Rules{Standalone: true}, want: "!0 participants are too few"},
		{name: "no members at all", members: ",", want: "!malformed"},
		{name: "observers", members: "server.2=h2:1:2:observer", want: "!malformed"},
		{name: "one and an observer", members: "server.1=h1:1:2,server.2=h2:1:2:observer", rules: Rules{Standalone: true}, want: "!malformed"},
		{name: "one and an observer, not standalone", members: "server.1=h1:1:2,server.2=h2:1:2:observer", want: "server.1=h1:1:2:participant\nserver.2=h2:1:2:observer\n"},
		{name: "groups", members: majority + "group.1=2:1", want: majority + "group.1=1:2\nweight.1=1\nweight.2=1\n"},
		{name: "members with two addresses", members: "server.1=h1:1:2|h2:1:2", want: "!need multiAddress.enabled"},
		{name: "members, port", members: "server.1=h1:1:65536", want: "!malformed"},
		{name: "members, word for a port", members: "server.1=h1:1:x", want: "!election port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := proto.ReconfigRequest{JoiningServers: []byte(c.joining), LeavingServers: []byte(c.leaving)}
			if c.members != "" {
				r.NewMembers = []byte(c.members)
			}
			old := config(t, base)
			before := old.String()
			next, err := old.Next(&r, c.rules)
			if old.String() != before {
				t.Errorf("the configuration became %q", old)
			}
			fault, failed := strings.CutPrefix(c.want, "!")
			switch {
			case !failed && err != nil:
				t.Error(err)
			case !failed && next.lines() != c.want:
				t.Errorf("%q, want %q", next.lines(), c.want)
			case fault == "malformed" && !errors.Is(err, ErrMalformed):
				t.Errorf("error %v is not malformed", err)
			case failed && fault != "malformed" && (err == nil || !strings.Contains(err.Error(), fault) || errors.Is(err, ErrMalformed)):
				t.Errorf("error %v, want %s", err, fault)
			}
		})
	}
}

func TestNextOfGroups(t *testing.T) {
	old := config(t, base+"group.1=1:2:3")
	if _, err := old.Next(&proto.ReconfigRequest{LeavingServers: []byte("x")}, Rules{}); err == nil || errors.Is(err, ErrMalformed) {
		t.Errorf("incremental: %v", err)
	}
	next, err := old.Next(&proto.ReconfigRequest{NewMembers: []byte(base)}, Rules{})
	if err != nil || next.Hierarchical() {
		t.Errorf("to majorities: %v, %v", next, err)
	}
}

func TestEnsemblesHaveALimit(t *testing.T) {
	old := &Config{Members: make([]Member, maxMembers)}
	for i := range old.Members {
		old.Members[i] = Member{ID: proto.ServerID(i), Addrs: []PeerAddr{{"localhost", 1, 2}}}
	}
	r := proto.ReconfigRequest{JoiningServers: []byte("server.5000=localhost:1:2;3")}
	if _, err := old.Next(&r, Rules{}); err == nil || !strings.Contains(err.Error(), "no more than") {
		t.Errorf("error %v", err)
	}
}

// FuzzNext checks that every configuration that a client can bring about is one that servers can read.
func FuzzNext(f *testing.F) {
	f.Add("server.4=a:1:2;3,server.5=[::1]:1:2:observer;[::]:3", "1,2", "", true)
	f.Add("", "", "server.1=a:1:2,group.1=1,weight.1=2,version=7", false)
	f.Fuzz(func(t *testing.T, joining, leaving, members string, replace bool) {
		r := proto.ReconfigRequest{JoiningServers: []byte(joining), LeavingServers: []byte(leaving)}
		if replace {
			r.NewMembers = []byte(members)
		}
		next, err := config(t, base).Next(&r, Rules{MultiAddress: true})
		if err != nil {
			return
		}
		next.Version = 9
		again, err := ParseConfig(next.String())
		if err != nil || again.String() != next.String() || again.Version != 9 {
			t.Fatalf("%q is read as %v, %v", next, again, err)
		}
	})
}
