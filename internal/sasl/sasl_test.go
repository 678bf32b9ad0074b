package sasl

import (
	"errors"
	"strings"
	"testing"
)

// users are those of the server that the exchanges below were recorded with.
func users(user string) (string, bool) {
	p, ok := map[string]string{
		"bob": "bobsecret", "zoë": "pässwörd", "odd": `quo"te, back\slash`, "super": "adminsecret", "empty": "", "日本": "語",
	}[user]
	return p, ok
}

// recorded are exchanges between real clients and Apache ZooKeeper 3.9.5, as they passed over the wire: the challenge,
// the client's response, the server's last token.
var recorded = []struct {
	name, user, nonce, cnonce, response, rspauth string
	java                                         bool
}{
	{"Java client", "bob", "Me+3JjTOuz5fhdpquRa3MrRdcZ0fhm4q5SiKdujn", "vV0v3snTTlbzDph2z+7jHDFwjtHC7W8R3Q7Le7yW",
		`charset=utf-8,username="bob",realm="zk-sasl-md5",nonce="Me+3JjTOuz5fhdpquRa3MrRdcZ0fhm4q5SiKdujn",nc=00000001,cnonce="vV0v3snTTlbzDph2z+7jHDFwjtHC7W8R3Q7Le7yW",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=02862b8b6a5c27eb903f96ba2b083be4,qop=auth,authzid="bob"`,
		"rspauth=eb01f89cde4e171e4852019d182ef1aa", true},
	{"Java client, Latin letters", "zoë", "RzzMbTN1I6T630K22xXwIPuk1ZHBXda69bp8Sb7i", "NKYdKrnXMq/lWZHZ6QZ/+VcH/wmL4Y2wLfiDOLa3",
		`charset=utf-8,username="zoë",realm="zk-sasl-md5",nonce="RzzMbTN1I6T630K22xXwIPuk1ZHBXda69bp8Sb7i",nc=00000001,cnonce="NKYdKrnXMq/lWZHZ6QZ/+VcH/wmL4Y2wLfiDOLa3",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=9742c55a84f81d1f2520d229021e2b71,qop=auth,authzid="zoë"`,
		"rspauth=a1b7b27f50f8b98dc43eb751c699142e", true},
	{"Java client, password with quotes", "odd", "lS/13KUEeylSJADN8Vm3TbXLxaVIXoLWE+tfD2Ly", "vwEZf1uxTzMA6GUAJ3nwX6poQvF/IdGXS4kLJVNj",
		`charset=utf-8,username="odd",realm="zk-sasl-md5",nonce="lS/13KUEeylSJADN8Vm3TbXLxaVIXoLWE+tfD2Ly",nc=00000001,cnonce="vwEZf1uxTzMA6GUAJ3nwX6poQvF/IdGXS4kLJVNj",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=e3eca9f0382ea5ce600357e43cb1083d,qop=auth,authzid="odd"`,
		"rspauth=9dd62742150049899467038ce5c68096", true},
	{"kazoo: other order, no charset, no authzid", "bob", "PaqE+gephIpLxJzebzXhth7LiAhpptKIp2XHb/UN", "5917671833034731",
		`qop=auth,realm="zk-sasl-md5",username="bob",nonce="PaqE+gephIpLxJzebzXhth7LiAhpptKIp2XHb/UN",cnonce="5917671833034731",nc=00000001,digest-uri="zookeeper/zk-sasl-md5",response=237650c361c6e56929b4143c54cf9402`,
		"rspauth=23a848ecbc2cd8d3b3f2a2a53620675c", false},
}

const recordedChallenge = `realm="zk-sasl-md5",nonce="NONCE",charset=utf-8,algorithm=md5-sess`

func TestServerAgainstRecordedClients(t *testing.T) {
	for _, tt := range recorded {
		t.Run(tt.name, func(t *testing.T) {
			s := NewServer(ClientPort, tt.nonce, users)
			challenge, err := s.Step(nil)
			if want := strings.Replace(recordedChallenge, "NONCE", tt.nonce, 1); err != nil || string(challenge) != want {
				t.Errorf("challenge %s, %v, want %s", challenge, err, want)
			}
			if s.Done() || s.User() != "" {
				t.Error("done before the client has proved anything")
			}
			last, err := s.Step([]byte(tt.response))
			if err != nil || string(last) != tt.rspauth {
				t.Errorf("last token %s, %v, want %s", last, err, tt.rspauth)
			}
			if !s.Done() || s.User() != tt.user || s.AuthorizationID() != tt.user {
				t.Errorf("done %v as %q for %q", s.Done(), s.User(), s.AuthorizationID())
			}
			if _, err := s.Step(nil); !errors.Is(err, ErrProtocol) || s.Done() {
				t.Errorf("a step too many: %v", err)
			}
		})
	}
}

func TestClientAgainstRecordedServers(t *testing.T) {
	for _, tt := range recorded {
		if !tt.java {
			continue // the client is modelled on Java's
		}
		t.Run(tt.name, func(t *testing.T) {
			password, _ := users(tt.user)
			c := NewClient(ClientPort, tt.user, password, tt.cnonce)
			response, err := c.Step([]byte(strings.Replace(recordedChallenge, "NONCE", tt.nonce, 1)))
			if err != nil || string(response) != tt.response {
				t.Errorf("response %s, %v, want %s", response, err, tt.response)
			}
			if c.Done() {
				t.Error("done before the server has proved anything")
			}
			if last, err := c.Step([]byte(tt.rspauth)); err != nil || last != nil || !c.Done() {
				t.Errorf("after rspauth: %q, %v, done %v", last, err, c.Done())
			}
		})
	}
}

// TestServerDenies changes a good response in one place each.
func TestServerDenies(t *testing.T) {
	good := recorded[0]
	for _, tt := range []struct {
		name, old, new string
		want           error
	}{
		{"nothing changed", "", "", nil},
		{"authorization id of nobody", `authzid="bob"`, `authzid=""`, ErrDenied},
		{"wrong response", "response=0", "response=1", ErrDenied},
		{"unknown user", `username="bob"`, `username="eve"`, ErrDenied},
		{"another user", `username="bob"`, `username="super"`, ErrDenied},
		{"another authorization id", `authzid="bob"`, `authzid="super"`, ErrDenied},
		{"authorization id left out", `,authzid="bob"`, ``, ErrDenied},
		{"replayed nonce", `nonce="Me+`, `nonce="No+`, ErrProtocol},
		{"nonce count", "nc=00000001", "nc=00000002", ErrProtocol},
		{"realm", `realm="zk-sasl-md5"`, `realm="other"`, ErrProtocol},
		{"service", "zookeeper/", "other/", ErrProtocol},
		{"protection", "qop=auth", "qop=auth-conf", ErrProtocol},
		{"charset", "charset=utf-8", "charset=utf-16", ErrProtocol},
		{"user is not UTF-8", `username="bob"`, "username=\"\xff\"", ErrProtocol},
		{"no user", `username="bob",`, "", ErrProtocol},
		{"no response", ",response=02862b8b6a5c27eb903f96ba2b083be4", "", ErrProtocol},
		{"two users", "maxbuf=65536", `username="bob"`, ErrProtocol},
		{"open quote", `authzid="bob"`, `authzid="bob`, ErrProtocol},
		{"no value", "maxbuf=65536", "maxbuf", ErrProtocol},
		{"no comma", `"zk-sasl-md5",`, `"zk-sasl-md5" `, ErrProtocol},
		{"white space", ",", " ,\r\n\t", nil},
		{"upper case names", "username=", "UserName=", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewServer(ClientPort, good.nonce, users)
			if _, err := s.Step([]byte{}); err != nil {
				t.Fatal(err)
			}
			_, err := s.Step([]byte(strings.ReplaceAll(good.response, tt.old, tt.new)))
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if err != nil && (s.Done() || s.User() != "" || s.AuthorizationID() != "") {
				t.Error("a failed handshake leaves an identity")
			}
		})
	}
}

// TestNothingSurvivesHandshake is ZOOKEEPER-4839: a user unknown right after a successful handshake must not become
// its user.
func TestNothingSurvivesHandshake(t *testing.T) {
	shake := func(user, password string) (*Server, error) {
		s, c := NewServer(QuorumLinks, "n", users), NewClient(QuorumLinks, user, password, "c")
		challenge, err := s.Step(nil)
		if err != nil {
			return s, err
		}
		response, err := c.Step(challenge)
		if err != nil {
			return s, err
		}
		last, err := s.Step(response)
		if err != nil {
			return s, err
		}
		_, err = c.Step(last)
		return s, err
	}
	for _, user := range []string{"bob", "zoë", "odd", "empty", "日本"} {
		password, _ := users(user)
		if s, err := shake(user, password); err != nil || s.User() != user {
			t.Errorf("%s: %q, %v", user, s.User(), err)
		}
		for _, bad := range []string{"eve", "", user + "x"} {
			if s, err := shake(bad, password); err == nil || s.Done() {
				t.Errorf("%q passes after %s", bad, user)
			}
		}
		if s, err := shake(user, password+"x"); !errors.Is(err, ErrDenied) || s.Done() {
			t.Errorf("%s with a wrong password: %v", user, err)
		}
	}
	if _, err := shake("eve", ""); !errors.Is(err, ErrDenied) {
		t.Errorf("an unknown user with the empty password: %v", err)
	}
}

func TestClientDenies(t *testing.T) {
	for _, challenge := range []string{
		"", "nonce=", `realm="r",nonce="n",algorithm=md5`, `nonce="n",algorithm=md5-sess,qop="auth-int,auth-conf"`, `nonce="n`,
	} {
		c := NewClient(ClientPort, "bob", "bobsecret", "c")
		if _, err := c.Step([]byte(challenge)); !errors.Is(err, ErrProtocol) {
			t.Errorf("challenge %q: %v", challenge, err)
		}
	}
	c := NewClient(ClientPort, "bob", "bobsecret", "c")
	if _, err := c.Step([]byte(`nonce="n",algorithm=md5-sess,qop="auth-int, auth"`)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Step([]byte("rspauth=00")); !errors.Is(err, ErrDenied) || c.Done() {
		t.Errorf("a server that does not know the password: %v", err)
	}
	if _, err := c.Step([]byte("rspauth=00")); !errors.Is(err, ErrProtocol) {
		t.Errorf("a step too many: %v", err)
	}
}

func FuzzServer(f *testing.F) {
	for _, r := range recorded {
		f.Add([]byte(r.response))
	}
	f.Add([]byte(`username="\`))
	f.Fuzz(func(t *testing.T, token []byte) {
		s := NewServer(ClientPort, "no client knows this nonce", users)
		if _, err := s.Step(nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Step(token); err == nil {
			t.Errorf("passed with %q", token)
		}
	})
}
