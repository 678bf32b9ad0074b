package transport

import (
	"crypto/md5"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zebu/internal/sasl"
	"zebu/proto"
)

// auths are the two sides of a deployment's authentication.
func auths() (dialer, accepter *Auth) {
	return &Auth{DialerRequired: true, User: "lerner", Password: "geheim"},
		&Auth{AccepterRequired: true, Users: map[string]string{"lerner": "geheim", "other": "x"}}
}

func TestAuthOnLinks(t *testing.T) {
	t.Parallel()
	good, server := auths()
	optional := &Auth{Users: server.Users}
	for name, c := range map[string]struct {
		dialer, accepter *Auth
		ok               bool
	}{
		"both":             {good, server, true},
		"not required":     {good, optional, true},
		"rolling upgrade":  {nil, optional, true},
		"not asked":        {nil, server, false},
		"wrong password":   {&Auth{DialerRequired: true, User: "lerner", Password: "x"}, server, false},
		"unknown user":     {&Auth{DialerRequired: true, User: "nobody", Password: "geheim"}, server, false},
		"wrong, optional":  {&Auth{DialerRequired: true, User: "lerner", Password: "x"}, optional, false},
		"nobody to verify": {good, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLeader(t, func(o *ListenOptions) { o.Auth = c.accepter })
			if c.ok {
				l.join(t, func(o *DialOptions) { o.Auth = c.dialer })
				return
			}
			events := make(chan LinkEvent)
			link, err := Dial(t.Context(), DialOptions{Net: Net{Auth: c.dialer}, Addrs: []proto.HostPort{l.addr}, Timeout: patience, Link: LinkOptions{Events: events}})
			if err == nil { // it does not know yet
				link.Send(samples[0])
				defer link.Close(nil)
				if e := await(t, events); e.Err == nil {
					t.Errorf("%+v", e)
				}
			} else if c.accepter != nil && !errors.Is(err, ErrDenied) {
				t.Error(err)
			}
		})
	}
}

// TestAuthInMesh has both directions: the server with the larger id dials, and the other one asks it to.
func TestAuthInMesh(t *testing.T) {
	t.Parallel()
	good, server := auths()
	both := &Auth{DialerRequired: true, User: good.User, Password: good.Password, AccepterRequired: true, Users: server.Users}
	one, two := freePort(t), freePort(t)
	set := func(own proto.HostPort, a *Auth) func(o *MeshOptions) {
		return func(o *MeshOptions) { o.Addrs, o.Auth = []proto.HostPort{own}, a }
	}
	a := newMesh(t, 1, set(one, both), at(2, two))
	b := newMesh(t, 2, set(two, both)) // knows nobody: it must have been asked
	a.up(2)
	b.up(1)
	v := vote(1)
	a.Send(2, &v)
	b.received(1)

	c := newMesh(t, 3, set(freePort(t), &Auth{DialerRequired: true, User: "lerner", Password: "x"}), at(1, one))
	stranger := dialRaw(t, one)
	mustWrite(t, stranger, append(proto.AppendInt64(nil, 4), frame(v)...))
	status, _, err := receiveAuth(stranger)
	if err != nil || status != authError {
		t.Errorf("status %d, %v", status, err)
	}
	mustEnd(t, stranger)
	a.Send(3, &v)
	for _, e := range append(a.Events(), c.Events()...) {
		switch e {
		case PeerUp{1}, PeerUp{3}, PeerUp{4}:
			t.Errorf("%+v", e)
		}
	}
}

// TestOptionalAuthWithSilence lets a peer in that says nothing after its hello.
func TestOptionalAuthWithSilence(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 1, func(o *MeshOptions) { o.Auth, o.HandshakeTimeout = &Auth{}, 30*time.Millisecond })
	c := dialRaw(t, m.addr)
	mustWrite(t, c, proto.AppendInt64(nil, 2))
	m.up(2)
	v := vote(1)
	mustWrite(t, c, frame(v))
	if got := m.received(2); got != v {
		t.Errorf("%+v", got)
	}
}

// TestNobodyActsAsAnother speaks SASL as a user who wants to be another one.
func TestNobodyActsAsAnother(t *testing.T) {
	t.Parallel()
	_, server := auths()
	l := newLeader(t, func(o *ListenOptions) { o.Auth = server })
	for name, token := range map[string][]byte{"garbage": []byte("x"), "large": make([]byte, maxToken+1), "empty": {}} {
		c := dialRaw(t, l.addr)
		if err := sendAuth(c, authInProgress, []byte{}); err != nil {
			t.Fatal(err)
		}
		if status, _, err := receiveAuth(c); err != nil || status != authInProgress {
			t.Fatalf("%d, %v", status, err)
		}
		if err := sendAuth(c, authInProgress, token); err != nil {
			t.Fatal(err)
		}
		if status, _, err := receiveAuth(c); err != nil || status != authError {
			t.Errorf("%s: %d, %v", name, status, err)
		}
	}
	c := dialRaw(t, l.addr)
	if err := sendAuth(c, authInProgress, []byte{}); err != nil {
		t.Fatal(err)
	}
	_, challenge, err := receiveAuth(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := sendAuth(c, authInProgress, impersonate("lerner", "geheim", "other", string(challenge))); err != nil {
		t.Fatal(err)
	}
	if status, _, err := receiveAuth(c); err != nil || status != authError {
		t.Errorf("%d, %v", status, err)
	}
	// The same as itself is let in.
	c = dialRaw(t, l.addr)
	if err := sendAuth(c, authInProgress, []byte{}); err != nil {
		t.Fatal(err)
	}
	if _, challenge, err = receiveAuth(c); err != nil {
		t.Fatal(err)
	}
	if err := sendAuth(c, authInProgress, impersonate("lerner", "geheim", "lerner", string(challenge))); err != nil {
		t.Fatal(err)
	}
	if status, _, err := receiveAuth(c); err != nil || status != authSuccess {
		t.Errorf("as itself: %d, %v", status, err)
	}
}

// impersonate answers a challenge as RFC 2831 says, for a user who wants to act as another. Our own client does not do that.
func impersonate(user, password, as, challenge string) []byte {
	_, nonce, _ := strings.Cut(challenge, `nonce="`)
	nonce, _, _ = strings.Cut(nonce, `"`)
	names := sasl.QuorumLinks
	uri := names.Service + "/" + names.Server
	hash := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	secret := md5.Sum([]byte(user + ":" + names.Realm + ":" + password))
	a1 := hash(string(secret[:]) + ":" + nonce + ":cnonce:" + as)
	response := hash(a1 + ":" + nonce + ":00000001:cnonce:auth:" + hash("AUTHENTICATE:"+uri))
	return fmt.Appendf(nil, `charset=utf-8,username="%s",realm="%s",nonce="%s",nc=00000001,cnonce="cnonce",digest-uri="%s",response=%s,qop=auth,authzid="%s"`,
		user, names.Realm, nonce, uri, response, as)
}
