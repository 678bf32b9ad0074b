// Package sasl holds the DIGEST-MD5 mechanism (RFC 2831), both sides, as state machines: tokens in, tokens out, no I/O
// and no randomness. ZooKeeper speaks it on the client port (spec 5.4) and on quorum links (spec 7.4), with protection
// none (qop=auth). A value serves one handshake; nothing survives it.
package sasl

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Names of a deployment: the service and server name make up the digest-uri.
type Names struct {
	Realm   string
	Service string
	Server  string
}

// Names that ZooKeeper uses.
var (
	ClientPort  = Names{Realm: "zk-sasl-md5", Service: "zookeeper", Server: "zk-sasl-md5"}
	QuorumLinks = Names{Realm: "zk-quorum-sasl-md5", Service: "zookeeper-quorum", Server: "zk-quorum-sasl-md5"}
)

func (n Names) uri() string { return n.Service + "/" + n.Server }

// Failures of a handshake. ErrDenied covers an unknown user and a wrong password alike.
var (
	ErrDenied   = errors.New("sasl: authentication failed")
	ErrProtocol = errors.New("sasl: malformed or unexpected token")
)

func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// nonceCount is that of a first authentication, the only kind there is here.
const nonceCount = "00000001"

// exchange is what both sides compute responses from.
type exchange struct {
	user, password, realm, authzid string
	nonce, cnonce, uri             string
	hasAuthzid                     bool
}

// response computes the client's response, or with prefix "" the server's rspauth.
func (x *exchange) response(prefix string) string {
	secret := md5.Sum(bytes.Join([][]byte{octets(x.user), octets(x.realm), octets(x.password)}, []byte{':'}))
	a1 := append(secret[:], ":"+x.nonce+":"+x.cnonce...)
	if x.hasAuthzid {
		a1 = append(a1, ":"+x.authzid...)
	}
	return md5hex(fmt.Appendf(nil, "%s:%s:%s:%s:auth:%s", md5hex(a1), x.nonce, nonceCount, x.cnonce,
		md5hex([]byte(prefix+":"+x.uri))))
}

// octets returns what is hashed for s: ISO 8859-1 if s fits in it, else UTF-8 (RFC 2831, 2.1.2.1).
func octets(s string) []byte {
	latin := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xFF {
			return []byte(s)
		}
		latin = append(latin, byte(r))
	}
	return latin
}

// fromLatin reads s as ISO 8859-1, which a token without charset=utf-8 is in.
func fromLatin(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func md5hex(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// clientPrefix begins A2 in the client's response.
const clientPrefix = "AUTHENTICATE"

// parse reads a list of name=value, name="value" separated by commas. Names come out in lower case; one that comes
// twice, other than realm, is an error. The first realm counts.
func parse(token []byte) (map[string]string, error) {
	fields := make(map[string]string)
	s := string(token)
	for {
		s = strings.TrimLeft(s, ", \t\r\n")
		if s == "" {
			return fields, nil
		}
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return nil, protocolError("no = after %.20q", s)
		}
		name = strings.ToLower(strings.TrimSpace(name))
		var value string
		var err error
		if value, s, err = parseValue(strings.TrimLeft(rest, " \t\r\n")); err != nil {
			return nil, err
		}
		if _, twice := fields[name]; !twice {
			fields[name] = value
		} else if name != "realm" {
			return nil, protocolError("%.20q comes twice", name)
		}
	}
}

// parseValue reads a value at the start of s and returns it and what follows.
func parseValue(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ", \t\r\n")
		if end < 0 {
			end = len(s)
		}
		value, rest = s[:end], s[end:]
	} else {
		var b strings.Builder
		i := 1
		for ; i < len(s) && s[i] != '"'; i++ {
			if s[i] == '\\' && i+1 < len(s) {
				i++
			}
			b.WriteByte(s[i])
		}
		if i >= len(s) {
			return "", "", protocolError("a quoted value does not end")
		}
		value, rest = b.String(), s[i+1:]
	}
	rest = strings.TrimLeft(rest, " \t\r\n")
	if rest != "" && rest[0] != ',' {
		return "", "", protocolError("no comma before %.20q", rest)
	}
	return value, rest, nil
}

// quote puts a value in double quotes.
func quote(s string) string { return `"` + quoteEscaper.Replace(s) + `"` }

var quoteEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
