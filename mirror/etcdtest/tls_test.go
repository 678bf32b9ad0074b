package etcdtest

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"zebu/gateway/gatewaytest"
	"zebu/mirror"
	"zebu/proto"
)

// TestTLS copies to an etcd that wants certificates and knows users, and back: as a user with a password, and as the one of a certificate.
func TestTLS(t *testing.T) {
	authority, err := gatewaytest.NewAuthority(t.TempDir(), "ca")
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name, commonName string) (cert, key string) {
		t.Helper()
		cert, key, err := authority.Issue(name, commonName)
		if err != nil {
			t.Fatal(err)
		}
		return cert, key
	}
	c := embed.NewConfig()
	c.ClientTLSInfo.TrustedCAFile, c.ClientTLSInfo.ClientCertAuth = authority.File, true
	c.ClientTLSInfo.CertFile, c.ClientTLSInfo.KeyFile = issue("server", "server")
	addr := serveEtcd(t, c, "https")
	nobody := &mirror.TLS{CACert: authority.File}
	nobody.Cert, nobody.Key = issue("nobody", "")
	joe := &mirror.TLS{CACert: authority.File}
	joe.Cert, joe.Key = issue("joe", "joe")
	secure, err := transport.TLSInfo{TrustedCAFile: nobody.CACert, CertFile: nobody.Cert, KeyFile: nobody.Key}.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	e := etcdClient(t, clientv3.Config{Endpoints: []string{addr}, TLS: secure})
	ctx := t.Context()
	for _, user := range []string{"root", "joe"} {
		_, err := e.UserAdd(ctx, user, "secret")
		_, gerr := e.UserGrantRole(ctx, user, "root")
		if err = errors.Join(err, gerr); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.AuthEnable(ctx); err != nil {
		t.Fatal(err)
	}
	z, zebu := startZebu(t)
	for _, path := range []string{"/tree", "/tree/a", "/tree/a/b"} {
		create(t, z, path, path, proto.Persistent)
	}
	for i, who := range []struct {
		user, password string
		tls            *mirror.TLS
	}{{"root", "secret", nobody}, {"", "", joe}} {
		back := []string{"/back", "/again"}[i]
		o := options(t, zebu+"/tree", "etcds://"+addr+back)
		o.Destination.User, o.Destination.Password, o.Destination.TLS = who.user, who.password, who.tls
		if p, bad := run(t, o, false); p.Created != 3 || len(bad) > 0 {
			t.Errorf("as %q: %+v %q", who.user, p, bad)
		}
		there := o.Destination
		o = options(t, "etcds://"+addr+back, zebu+back)
		o.Source = there
		run(t, o, false)
		if got, want := nodes(t, z, back), nodes(t, z, "/tree"); !maps.Equal(got, want) {
			t.Errorf("as %q: %q is back", who.user, got)
		}
	}
	o := options(t, zebu+"/tree", "etcds://"+addr)
	for text, d := range map[string]mirror.Location{
		rpctypes.ErrPermissionDenied.Error(): {TLS: nobody}, // a certificate without a common name
		rpctypes.ErrAuthFailed.Error():       {TLS: nobody, User: "root", Password: "wrong"},
		"certificate required":               {TLS: &mirror.TLS{CACert: authority.File}},
		"unknown authority":                  {TLS: &mirror.TLS{}},
		"write etcds://":                     {},
	} {
		o.Destination.User, o.Destination.Password, o.Destination.TLS = d.User, d.Password, d.TLS
		m, err := mirror.Open(ctx, o)
		var end *mirror.EndError
		if !errors.As(err, &end) || !end.Destination || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %s", err, text)
		}
		if err == nil {
			m.Close()
		}
	}
}
