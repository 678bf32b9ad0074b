package mirror

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
)

// etcd's client tells nobody what is wrong with a connection, and goes on trying until its time is over. So a copy first looks for
// itself whether there is a server that speaks HTTP/2, that it trusts, and that takes its certificate.

// ConnectError says why there is no connection to an etcd. It wraps what crypto/x509 and crypto/tls have said.
type ConnectError struct{ error }

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.error }

// ErrRefused is that a server has ended a connection of TLS, as it does if a client shows no certificate, or one that it does not trust.
var ErrRefused = errors.New("the server has refused the connection")

// greeting is what a client of HTTP/2 says first, and a frame SETTINGS without any (RFC 9113, 3.4). What comes back begins with such a frame.
const greeting = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00" + "\x04" + "\x00" + "\x00\x00\x00\x00"

// The header of a frame: three bytes are its length, the fourth is its kind.
const (
	frameHeader = 9
	frameKind   = 3
	settings    = 4
)

// greet returns nil once one of the servers has answered. Otherwise it returns a *ConnectError, and whether one is there at all.
func greet(ctx context.Context, servers []string, c *tls.Config) (reached bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	outcomes := make(chan error, len(servers))
	for _, server := range servers {
		go func() { outcomes <- greetOne(ctx, server, c) }()
	}
	var wrong []error
	for range servers {
		err := <-outcomes
		if err == nil {
			return true, nil
		}
		var unreached *dialError
		reached = reached || !errors.As(err, &unreached)
		wrong = append(wrong, err)
	}
	return reached, &ConnectError{errors.Join(wrong...)}
}

// dialError is that there is no server at an address.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

func greetOne(ctx context.Context, server string, c *tls.Config) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", server)
	if err != nil {
		return &dialError{err}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if c != nil {
		secure, err := shake(ctx, conn, server, c)
		if err != nil {
			return fmt.Errorf("%s: %w", server, err)
		}
		conn = secure
	}
	var header [frameHeader]byte
	_, err = io.WriteString(conn, greeting)
	_, rerr := io.ReadFull(conn, header[:]) // even if it could not be written: the server has perhaps said why
	switch {
	case rerr == nil && header[frameKind] == settings:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: no answer within %v, is this an etcd server?", server, answer)
	case c == nil:
		return fmt.Errorf("%s does not answer as an etcd in plain text does; if it speaks TLS, write etcds://", server)
	case errors.Join(err, rerr) == nil:
		return fmt.Errorf("%s does not answer as an etcd does", server)
	}
	return fmt.Errorf("%s: %w: %w", server, ErrRefused, errors.Join(err, rerr))
}

// shake makes a connection one of TLS.
func shake(ctx context.Context, conn net.Conn, server string, c *tls.Config) (net.Conn, error) {
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		return nil, err
	}
	c = c.Clone()
	c.ServerName, c.NextProtos = host, []string{"h2"}
	secure := tls.Client(conn, c)
	err = secure.HandshakeContext(ctx)
	var alert *net.OpError
	var plain tls.RecordHeaderError
	switch {
	case err == nil:
		return secure, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("no answer within %v", answer)
	case errors.As(err, &alert) && alert.Op == "remote error":
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	case errors.As(err, &plain):
		return nil, errors.New("it does not speak TLS; if it speaks plain text, write etcd://")
	}
	return nil, err
}
