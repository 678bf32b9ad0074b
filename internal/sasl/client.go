package sasl

import (
	"crypto/subtle"
	"slices"
	"strings"
)

// Client is the client's side of one handshake.
type Client struct {
	names Names
	step  step
	x     exchange
}

// NewClient returns the client's side of a handshake. The cnonce must be fresh and unpredictable, of printable
// characters without quotes. The client asks to act as itself.
func NewClient(names Names, user, password, cnonce string) *Client {
	return &Client{names: names, x: exchange{
		user: user, password: password, authzid: user, hasAuthzid: user != "", cnonce: cnonce, uri: names.uri(),
	}}
}

// Step takes the server's token and returns the answer to it: first the response to the challenge, then, for the
// server's proof, nothing, after which [Client.Done] is true. An error, ErrDenied or ErrProtocol, ends the handshake.
// Before the first Step the client sends an empty token.
func (c *Client) Step(token []byte) ([]byte, error) {
	f, err := parse(token)
	if err != nil {
		c.step = stepFailed
		return nil, err
	}
	switch c.step {
	case stepStart:
		reply, err := c.respond(f)
		if err != nil {
			c.step = stepFailed
			return nil, err
		}
		c.step = stepRspauth
		return reply, nil
	case stepRspauth:
		c.step = stepFailed
		if subtle.ConstantTimeCompare([]byte(c.x.response("")), []byte(f["rspauth"])) != 1 {
			return nil, ErrDenied
		}
		c.step = stepDone
		return nil, nil
	}
	c.step = stepFailed
	return nil, protocolError("the handshake is over")
}

// Done says whether the server has accepted the client and proved that it knows the password.
func (c *Client) Done() bool { return c.step == stepDone }

// respond answers a challenge.
func (c *Client) respond(f map[string]string) ([]byte, error) {
	qops := strings.FieldsFunc(f["qop"], func(r rune) bool { return r == ',' || r == ' ' })
	switch {
	case f["nonce"] == "":
		return nil, protocolError("no nonce in the challenge")
	case f["algorithm"] != "md5-sess":
		return nil, protocolError("algorithm %.20q", f["algorithm"])
	case len(qops) > 0 && !slices.Contains(qops, "auth"):
		return nil, protocolError("qop %.20q", f["qop"])
	}
	x := &c.x
	x.nonce, x.realm = f["nonce"], f["realm"]
	if x.realm == "" {
		x.realm = c.names.Realm
	}
	var b strings.Builder
	user := string(octets(x.user))
	if strings.EqualFold(f["charset"], "utf-8") {
		b.WriteString("charset=utf-8,")
		user = x.user
	}
	b.WriteString("username=" + quote(user) + ",realm=" + quote(x.realm) + ",nonce=" + quote(x.nonce) +
		",nc=" + nonceCount + ",cnonce=" + quote(x.cnonce) + ",digest-uri=" + quote(x.uri) +
		",maxbuf=65536,response=" + x.response(clientPrefix) + ",qop=auth")
	if x.hasAuthzid {
		b.WriteString(",authzid=" + quote(x.authzid))
	}
	return []byte(b.String()), nil
}
