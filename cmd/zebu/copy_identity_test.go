package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"zebu/gateway"
	"zebu/gateway/gatewaytest"
	"zebu/mirror"
	"zebu/mvcc"
)

// gateways serves three that have a key each, until the end of the test: $PLAIN without TLS, $ONE with it, $TWO with it and with an authority of its own,
// whose certificates it wants of its clients. What is returned puts addresses and files into a command line: $ONECA, $ONECERT and $ONEKEY are a client's.
func gateways(t *testing.T) func(args string) string {
	t.Helper()
	dir := t.TempDir()
	names := []string{}
	serve := func(name string, o gateway.Options) {
		_, n, addr := gatewaytest.Serve(t, gatewaytest.Options{}, o)
		if _, err := n.Propose(t.Context(), mvcc.NewRecord(&pb.PutRequest{Key: []byte("/" + name), Value: []byte("v")})); err != nil {
			t.Fatal(err)
		}
		names = append(names, "$"+name, addr)
	}
	for _, name := range []string{"ONE", "TWO"} {
		authority, err := gatewaytest.NewAuthority(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		cert, key, err := authority.Issue(name+"-client", "client")
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, "$"+name+"CA", authority.File, "$"+name+"CERT", cert, "$"+name+"KEY", key)
		o := &gateway.TLSOptions{}
		if o.CertFile, o.KeyFile, err = authority.Issue(name+"-server", "server"); err != nil {
			t.Fatal(err)
		}
		if name == "TWO" {
			o.TrustedCAFile = authority.File
		}
		serve(name, gateway.Options{TLS: o})
	}
	serve("PLAIN", gateway.Options{})
	return strings.NewReplacer(names...).Replace
}

// TestCopyTLS checks who is let in, and that the others are told what to do.
func TestCopyTLS(t *testing.T) {
	with := gateways(t)
	const two = " --dst-cacert $TWOCA --dst-cert $TWOCERT --dst-key $TWOKEY"
	for _, c := range []struct {
		args string
		code int
		out  string // a part of what is printed
	}{
		{"etcds://$ONE/ONE etcds://$TWO/x --src-cacert $ONECA" + two, 0, "1 created"},
		{"etcds://$ONE/ONE etcds://$TWO/x --src-cacert $ONECA --verify" + two, 0, "equal: 0 differences"},
		{"etcds://$TWO/TWO etcd://$PLAIN/x --src-cacert $TWOCA --src-cert $TWOCERT --src-key $TWOKEY", 0, "1 created"},
		{"etcd://$PLAIN/PLAIN etcds://127.0.0.1:1,$ONE/x --dst-cacert $ONECA", 0, "1 created"},
		{"etcds://$ONE/ONE etcd://$PLAIN/x", exitUnreachable, "--src-cacert FILE"},
		{"etcds://$ONE/ONE etcd://$PLAIN/x --src-cacert $TWOCA", exitUnreachable, "signed by unknown authority (--src-cacert FILE"},
		{"etcd://$PLAIN/PLAIN etcds://$TWO/x", exitUnreachable, "--dst-cacert FILE"},
		{"etcd://$PLAIN/PLAIN etcds://$TWO/x --dst-cacert $TWOCA", exitUnreachable, "--dst-cert FILE"},
		{"etcd://$PLAIN/PLAIN etcds://$TWO/x --dst-cacert $TWOCA --dst-cert $ONECERT --dst-key $ONEKEY", exitUnreachable, "--dst-cert FILE"},
		{"etcd://$ONE/ONE etcd://$PLAIN/x", exitUnreachable, "write etcds://"},
		{"etcds://$PLAIN/PLAIN etcd://$PLAIN/x", exitUnreachable, "write etcd://"},
		{"etcd://$PLAIN/PLAIN etcd://$PLAIN/x --dst-cacert $ONECA", exitInvalid, "--dst-cacert, --dst-cert and --dst-key go with etcds://"},
		{"etcds://$ONE/ONE 127.0.0.1:1 --dst-key $ONEKEY", exitInvalid, "go with etcds://"},
		{"etcds://$ONE/ONE etcd://$PLAIN/x --src-cacert /none/such", exitInvalid, "no such file"},
		{"etcds://$ONE/ONE etcd://$PLAIN/x --src-cacert $ONEKEY", exitInvalid, "no certificate in it"},
		{"etcds://$ONE/ONE etcd://$PLAIN/x --src-cert $ONECERT", exitInvalid, "go together"},
		{"etcds://$ONE/ONE etcd://$PLAIN/x --src-cert $ONECERT --src-key $TWOKEY", exitInvalid, "does not match"},
	} {
		out, code := run(t, append([]string{"copy", "-q"}, strings.Fields(with(c.args))...)...)
		if code != c.code || !strings.Contains(out, c.out) {
			t.Errorf("copy %s: code %d, want %d\n%s", c.args, code, c.code, out)
		}
	}
}

// TestCopyIdentity checks what becomes of --src-auth.
func TestCopyIdentity(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("joe:a:b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		end, auth string
		want      string // the user and password at etcd, the identities at ZooKeeper, or a part of the error
	}{
		{"etcd://h", "", ":[]"},
		{"etcd://h", "joe:secret", "joe:secret[]"},
		{"etcds://h", "@" + secret, "joe:a:b[]"},
		{"etcd://joe:secret@h", "", "joe:secret[]"},
		{"etcd://joe:secret@h", "joe:secret", "takes one user"},
		{"etcd://h", "joe:secret ann:secret", "takes one user"},
		{"etcd://h", "joe", "USER:PASSWORD"},
		{"etcd://h", "joe:", "USER:PASSWORD"},
		{"etcd://h", ":secret", "USER:PASSWORD"},
		{"etcd://h", "@/none/such", "no such file"},
		{"h", "@" + secret + " ip:1", ":[{joe a:b} {ip 1}]"},
	} {
		l, err := mirror.ParseLocation(c.end)
		if err != nil {
			t.Fatal(err)
		}
		auths, err := identify("src", &l, strings.Fields(c.auth), mirror.TLS{})
		got := fmt.Sprint(l.User, ":", l.Password, auths)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %s, want %s", c.end, c.auth, got, c.want)
		}
	}
}

func TestEndHint(t *testing.T) {
	for want, err := range map[string]*mirror.EndError{
		"":                          {Err: errors.New("x")},
		"--dst-auth":                {Destination: true, Err: rpctypes.ErrUserEmpty},
		"--src-auth":                {Err: fmt.Errorf("x: %w", rpctypes.ErrAuthFailed)},
		"as its certificate has it": {Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}},
	} {
		if got := endHint(err); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%v: %s", err, got)
		}
	}
}
