package sasl

import (
	"crypto/subtle"
	"strings"
	"unicode/utf8"
)

type step int

const (
	stepStart step = iota
	stepResponse
	stepRspauth
	stepDone
	stepFailed
)

// Server is the server's side of one handshake.
type Server struct {
	names    Names
	nonce    string
	password func(user string) (string, bool)
	step     step
	user     string
	authzid  string
}

// NewServer returns the server's side of a handshake. The nonce must be fresh and unpredictable, of printable
// characters without quotes. password looks a user up and says whether there is one.
func NewServer(names Names, nonce string, password func(user string) (string, bool)) *Server {
	return &Server{names: names, nonce: nonce, password: password}
}

// Step takes the client's token and returns the answer to it: first the challenge, then the proof that the server knows
// the password too, after which [Server.Done] is true. The first token should be empty; what it holds is ignored, as
// ZooKeeper does. An error, ErrDenied or ErrProtocol, ends the handshake.
func (s *Server) Step(token []byte) ([]byte, error) {
	switch s.step {
	case stepStart:
		s.step = stepResponse
		return []byte("realm=" + quote(s.names.Realm) + ",nonce=" + quote(s.nonce) + ",charset=utf-8,algorithm=md5-sess"), nil
	case stepResponse:
		reply, err := s.verify(token)
		if err != nil {
			return nil, s.fail(err)
		}
		s.step = stepDone
		return reply, nil
	}
	return nil, s.fail(protocolError("the handshake is over"))
}

// Done says whether the client has proved who it is.
func (s *Server) Done() bool { return s.step == stepDone }

// User returns who the client has proved to be (the authentication id), "" unless Done.
func (s *Server) User() string { return s.user }

// AuthorizationID returns whom the client wants to act as, which is the user unless it says otherwise; "" unless Done.
// ZooKeeper's client port ignores it, its quorum links demand that it is the user.
func (s *Server) AuthorizationID() string { return s.authzid }

func (s *Server) fail(err error) error {
	s.step, s.user, s.authzid = stepFailed, "", ""
	return err
}

// verify checks the client's response and returns the final token.
func (s *Server) verify(token []byte) ([]byte, error) {
	f, err := parse(token)
	if err != nil {
		return nil, err
	}
	if err := s.checkFields(f); err != nil {
		return nil, err
	}
	authzid, hasAuthzid := f["authzid"]
	x := exchange{
		user: f["username"], realm: f["realm"], authzid: authzid, hasAuthzid: hasAuthzid,
		nonce: s.nonce, cnonce: f["cnonce"], uri: f["digest-uri"],
	}
	if f["charset"] == "" {
		x.user = fromLatin(x.user)
	} else if !utf8.ValidString(x.user) {
		return nil, protocolError("username is not UTF-8")
	}
	password, known := s.password(x.user)
	x.password = password
	// An unknown user costs the same work as a known one.
	match := subtle.ConstantTimeCompare([]byte(x.response(clientPrefix)), []byte(f["response"])) == 1
	if !known || !match {
		return nil, ErrDenied
	}
	s.user, s.authzid = x.user, x.user
	if authzid != "" {
		s.authzid = authzid
	}
	return []byte("rspauth=" + x.response("")), nil
}

// checkFields checks all of the response but who sent it.
func (s *Server) checkFields(f map[string]string) error {
	for _, name := range []string{"username", "nonce", "cnonce", "nc", "digest-uri", "response"} {
		if f[name] == "" {
			return protocolError("%s is missing", name)
		}
	}
	charset, hasCharset := f["charset"]
	qop, hasQop := f["qop"]
	switch {
	case f["nonce"] != s.nonce:
		return protocolError("another nonce")
	case f["nc"] != nonceCount:
		return protocolError("nc %.20q", f["nc"])
	case f["realm"] != s.names.Realm:
		return protocolError("realm %.50q", f["realm"])
	case !strings.EqualFold(f["digest-uri"], s.names.uri()):
		return protocolError("digest-uri %.50q, want %q", f["digest-uri"], s.names.uri())
	case hasCharset && !strings.EqualFold(charset, "utf-8"):
		return protocolError("charset %.20q", charset)
	case hasQop && qop != "auth":
		return protocolError("qop %.20q", qop)
	}
	return nil
}
