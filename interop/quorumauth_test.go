package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"zebu/proto"
	"zebu/transport"
)

const quorumJAAS = `
QuorumServer {
	org.apache.zookeeper.server.auth.DigestLoginModule required
	user_member="sesame";
};
QuorumLearner {
	org.apache.zookeeper.server.auth.DigestLoginModule required
	username="member"
	password="sesame";
};
`

// TestQuorumAuth lets an Apache server and two zebu meshes authenticate each other by SASL: it dials one of them, is dialed by
// the other, and turns up at the elected leader's quorum port.
func TestQuorumAuth(t *testing.T) {
	t.Parallel()
	apache := apache39(t)
	auth := &transport.Auth{
		DialerRequired: true, User: "member", Password: "sesame",
		AccepterRequired: true, Users: map[string]string{"member": "sesame"},
	}
	config := loopback(t, "participant", "participant", "participant")
	leader := config.Member(3).Addrs[0]
	events := make(chan transport.LinkEvent)
	l, err := transport.Listen(t.Context(), transport.ListenOptions{
		Net: transport.Net{Auth: auth, Log: zaptest.NewLogger(t)}, Addrs: []proto.HostPort{{Host: leader.Host, Port: leader.Quorum}},
		HandshakeTimeout: 20 * time.Second, Link: transport.LinkOptions{Events: events},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	m := member(t, config, 2)
	jaas := filepath.Join(m.Dir, "jaas.conf")
	if err := os.WriteFile(jaas, []byte(quorumJAAS), 0o600); err != nil {
		t.Fatal(err)
	}
	m.Extra = append(m.Extra, "quorum.auth.enableSasl=true", "quorum.auth.learnerRequireSasl=true", "quorum.auth.serverRequireSasl=true")
	// Apache's 3.9 takes DIGEST-MD5 for a sin against FIPS, which it obeys by default.
	m.Properties = append(m.Properties, "java.security.auth.login.config="+jaas, "zookeeper.fips-mode=false")
	startAlone(t, apache, m)
	secure := func(o *transport.MeshOptions) { o.Auth = auth }
	dialed := startVoter(t, config, 1, 0, 0, secure)
	dialing := startVoter(t, config, 3, 0, 0, secure)
	denied := startVoter(t, loopback(t, "participant", "participant", "participant", "observer"), 4, 0, 0, func(o *transport.MeshOptions) {
		o.Auth = &transport.Auth{DialerRequired: true, User: "member", Password: "open"}
		o.Peers = transport.ElectionPeers(config)
	})
	for _, v := range []*voter{dialed, dialing} {
		if d := v.decision(); d.Vote.Leader != 3 {
			t.Errorf("%+v", d)
		}
		v.connected(2)
	}
	select {
	case e := <-events:
		if e.Err != nil || e.Packets[0].Type != proto.PacketFollowerInfo {
			t.Errorf("%+v", e)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no follower")
	}
	if n := len(denied.ups); n > 0 {
		t.Errorf("%d connections in spite of the wrong password", n)
	}
}

// TestEnsembleAuth has zebu and Apache servers authenticate each other on both ports, and turns one away that does not know
// the password.
func TestEnsembleAuth(t *testing.T) {
	t.Parallel()
	e := ensembleOf(t, "zebu", "3.9", "zebu")
	jaas := filepath.Join(t.TempDir(), "jaas.conf")
	write := func(text string) {
		if err := os.WriteFile(jaas, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(quorumJAAS)
	e.lines = append(e.lines, "quorum.auth.enableSasl=true", "quorum.auth.learnerRequireSasl=true", "quorum.auth.serverRequireSasl=true")
	e.properties = append(e.properties, "java.security.auth.login.config="+jaas, "zookeeper.fips-mode=false")
	e.start(1, 2, 3)
	e.through(10 * time.Second)[0].mustCreate("/known", "", 0)
	e.same()

	e.stop(1)
	write(strings.ReplaceAll(quorumJAAS, "sesame", "wrong"))
	e.launch(1)
	poll(t, stepTimeout, "refusal", func() bool { return strings.Contains(e.seat(1).sinceStart(), "quorum authentication failed") })
	if mode := e.seat(1).mode(); mode != "" {
		t.Errorf("it is a %s", mode)
	}
	e.kill(1)
	write(quorumJAAS)
	e.start(1)
	e.same()
}
