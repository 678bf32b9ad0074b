package mirror

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"zebu/gateway"
	"zebu/gateway/gatewaytest"
)

// TestNewCertificate replaces a client's certificate while a copy runs: the next connection shows the new one.
func TestNewCertificate(t *testing.T) {
	dir := t.TempDir()
	authority, err := gatewaytest.NewAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	other, err := gatewaytest.NewAuthority(dir, "other")
	if err != nil {
		t.Fatal(err)
	}
	o := &gateway.TLSOptions{TrustedCAFile: authority.File}
	if o.CertFile, o.KeyFile, err = authority.Issue("server", "server"); err != nil {
		t.Fatal(err)
	}
	_, _, addr := gatewaytest.Serve(t, gatewaytest.Options{}, gateway.Options{TLS: o})
	mine := &TLS{CACert: authority.File}
	if mine.Cert, mine.Key, err = authority.Issue("client", "client"); err != nil {
		t.Fatal(err)
	}
	c, err := mine.config()
	if err != nil {
		t.Fatal(err)
	}
	if reached, err := greet(t.Context(), []string{addr}, c); !reached || err != nil {
		t.Errorf("reached %v, %v", reached, err)
	}
	if _, _, err := other.Issue("client", "client"); err != nil {
		t.Fatal(err)
	}
	if reached, err := greet(t.Context(), []string{addr}, c); !reached || !errors.Is(err, ErrRefused) {
		t.Errorf("reached %v, %v", reached, err)
	}
}

// TestGreet greets what is no etcd.
func TestGreet(t *testing.T) {
	soon, cancel := context.WithCancel(t.Context())
	defer cancel()
	serve := func(say string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				if _, err = io.ReadFull(conn, make([]byte, len(greeting))); err == nil && say == "" {
					cancel()
				} else if err == nil {
					_, _ = io.WriteString(conn, say) // the client may have gone to another
				}
				_, _ = io.Copy(io.Discard, conn)
				conn.Close()
			}
		}()
		return l.Addr().String()
	}
	talks, settles := serve("HTTP/1.1 400 Bad Request\r\n"), serve("\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	for _, c := range []struct {
		ctx     context.Context
		servers []string
		reached bool
		want    string
	}{
		{t.Context(), []string{talks}, true, "does not answer as an etcd"},
		{t.Context(), []string{"127.0.0.1:1"}, false, "refused"},
		{t.Context(), []string{"127.0.0.1:1", talks}, true, "does not answer as an etcd"},
		{t.Context(), []string{"127.0.0.1:1", talks, settles}, true, ""},
		{soon, []string{serve("")}, true, "is this an etcd server?"},
	} {
		reached, err := greet(c.ctx, c.servers, nil)
		var none *ConnectError
		if reached != c.reached || errors.As(err, &none) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: reached %v, %v; want %v, %s", c.servers, reached, err, c.reached, c.want)
		}
	}
}
