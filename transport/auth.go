package transport

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"zebu/internal/sasl"
	"zebu/proto"
)

// Auth is DIGEST-MD5 between servers (spec 7.4). The side that dials proves to know a password, and the side that accepts
// proves to know it too.
type Auth struct {
	// DialerRequired (quorum.auth.learnerRequireSasl) makes this server authenticate itself where it dials, as User.
	DialerRequired bool
	User, Password string // of the section QuorumLearner
	// AccepterRequired (quorum.auth.serverRequireSasl) turns those away who do not authenticate themselves. Those who try and fail are
	// turned away in any case.
	AccepterRequired bool
	Users            map[string]string // passwords of the section QuorumServer
}

// ErrDenied says that a peer has not authenticated itself, or has not accepted this server's authentication.
var ErrDenied = errors.New("quorum authentication failed")

// Status of a QuorumAuthPacket.
const (
	authInProgress int32 = 0
	authSuccess    int32 = 1
	authError      int32 = -1
)

const (
	authMagic int64 = 0x5f2435013501edcc // -0xa0dbcafecafe1234 in 64 bits
	maxToken        = 16 << 10
)

func sendAuth(w io.Writer, status int32, token []byte) error {
	p := proto.QuorumAuthPacket{Magic: authMagic, Status: status, Token: token}
	_, err := w.Write(p.Append(nil))
	return err
}

func receiveAuth(r io.Reader) (status int32, token []byte, err error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	d := proto.NewDecoder(head[:])
	magic, status, size := d.Int64(), d.Int32(), d.Int32()
	if magic != authMagic || size < -1 || size > maxToken {
		return 0, nil, fmt.Errorf("%w: expected a token, not %x", ErrDenied, head)
	}
	token = make([]byte, max(size, 0))
	_, err = io.ReadFull(r, token)
	return status, token, err
}

// dialed authenticates this server on a connection that it has opened.
func (a *Auth) dialed(c *conn) error {
	if a == nil || !a.DialerRequired {
		return nil
	}
	client := sasl.NewClient(sasl.QuorumLinks, a.User, a.Password, rand.Text())
	token := []byte{}
	for {
		if err := sendAuth(c, authInProgress, token); err != nil {
			return err
		}
		status, challenge, err := receiveAuth(c.br)
		if err != nil {
			return fmt.Errorf("authenticate: %w", err)
		}
		if status != authInProgress && status != authSuccess {
			return fmt.Errorf("%w: the peer does not accept it", ErrDenied)
		}
		if token, err = client.Step(challenge); err != nil {
			return fmt.Errorf("%w: %w", ErrDenied, err)
		}
		if status == authSuccess {
			if !client.Done() {
				return fmt.Errorf("%w: the peer did not prove that it knows the password", ErrDenied)
			}
			return nil
		}
		if client.Done() {
			return fmt.Errorf("%w: a proof without success", ErrDenied)
		}
	}
}

// accepted lets a peer authenticate itself on a connection that it has opened. Without need for it, a peer that
// begins with something else, or with nothing until the deadline, is let through.
func (a *Auth) accepted(c *conn) error {
	if a == nil {
		return nil
	}
	if !a.AccepterRequired {
		b, err := c.br.Peek(8)
		if int64(len(b)) < 8 || int64(binary.BigEndian.Uint64(b)) != authMagic {
			if err != nil && err != io.EOF && !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
			return nil
		}
	}
	err := a.verify(c)
	if err != nil {
		_ = sendAuth(c, authError, []byte{}) // as a courtesy
	}
	return err
}

func (a *Auth) verify(c *conn) error {
	server := sasl.NewServer(sasl.QuorumLinks, rand.Text(), func(user string) (string, bool) {
		password, ok := a.Users[user]
		return password, ok
	})
	for {
		_, token, err := receiveAuth(c.br)
		if err != nil {
			return fmt.Errorf("authenticate: %w", err)
		}
		challenge, err := server.Step(token)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrDenied, err)
		case !server.Done():
			err = sendAuth(c, authInProgress, challenge)
		case server.AuthorizationID() != server.User():
			return fmt.Errorf("%w: user %q must not act as %q", ErrDenied, server.User(), server.AuthorizationID())
		default:
			return sendAuth(c, authSuccess, challenge)
		}
		if err != nil {
			return err
		}
	}
}
