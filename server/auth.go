package server

import (
	"crypto/md5"  //nolint:gosec // digestAlg may name it
	"crypto/sha1" //nolint:gosec // the digest scheme's default hash
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"net/netip"
	"slices"
	"strings"

	"zebu/conf"
	"zebu/proto"
	"zebu/replica"
)

// authenticator checks auth packets (spec 5.3).
type authenticator struct {
	cfg     *conf.Auth
	newHash func() hash.Hash // of the digest scheme
}

func newAuthenticator(cfg *conf.Auth) authenticator {
	a := authenticator{cfg: cfg, newHash: sha1.New}
	switch strings.ToUpper(cfg.DigestAlg) {
	case "MD5":
		a.newHash = md5.New
	case "SHA-224":
		a.newHash = sha256.New224
	case "SHA-256":
		a.newHash = sha256.New
	case "SHA-384":
		a.newHash = sha512.New384
	case "SHA-512":
		a.newHash = sha512.New
	}
	return a
}

// authenticate returns the identities that auth data of a scheme proves. The code is OK or ErrAuthFailed; hangUp says that
// ZooKeeper closes the connection without an answer.
func (a authenticator) authenticate(scheme string, auth []byte, remote netip.Addr) (ids []proto.ID, code proto.ErrCode, hangUp bool) {
	switch scheme {
	case "digest":
		if !a.cfg.Digest {
			break
		}
		digest := a.digestOf(string(auth))
		ids = []proto.ID{{Scheme: "digest", ID: digest}}
		super := a.cfg.SuperDigest
		if super != "" && subtle.ConstantTimeCompare([]byte(super), []byte(digest)) == 1 {
			ids = append([]proto.ID{{Scheme: "super"}}, ids...)
		}
		return ids, proto.OK, false
	case "ip":
		return []proto.ID{{Scheme: "ip", ID: remote.WithZone("").String()}}, proto.OK, false
	case "ensemble":
		if !slices.Contains(a.cfg.Schemes, scheme) {
			break
		}
		if len(a.cfg.EnsembleNames) == 0 || len(auth) == 0 || slices.Contains(a.cfg.EnsembleNames, string(auth)) {
			return nil, proto.OK, false
		}
		return nil, proto.ErrAuthFailed, true
	}
	return nil, proto.ErrAuthFailed, false
}

// digestOf returns the id of scheme digest for "user:password": the user and the base64 of the hash of the whole.
func (a authenticator) digestOf(userPassword string) string {
	user, _, _ := strings.Cut(userPassword, ":")
	h := a.newHash()
	h.Write([]byte(userPassword))
	return user + ":" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// maxIdentities is how many identities a connection may collect. ZooKeeper has no limit, and a client could prove passwords
// until the memory is full.
const maxIdentities = 1000

// auth serves an auth packet at once, ahead of requests still in flight, as ZooKeeper does.
func (c *conn) auth(req *replica.Request) error {
	var p proto.AuthPacket
	d := proto.NewDecoder(req.Body)
	if p.Decode(&d); d.Err() != nil {
		return errClose
	}
	ids, code, hangUp := c.s.auth.authenticate(p.Scheme, p.Auth, c.remote.Addr())
	if hangUp {
		c.s.met.EnsembleAuthFail.Inc()
		return errClose
	}
	if code == proto.OK && len(c.rc.IDs) >= maxIdentities {
		code = proto.ErrAuthFailed
	}
	if code != proto.OK {
		c.s.authFailed.Add(1)
		c.reply(req, code, nil)
		return errClose
	}
	c.addIDs(ids)
	c.reply(req, proto.OK, nil)
	return nil
}

// addIDs adds proved identities to the connection's.
func (c *conn) addIDs(ids []proto.ID) {
	all := slices.Clone(c.rc.IDs)
	for _, id := range ids {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
		if slices.Contains(c.s.cfg.Auth.EnforceSchemes, id.Scheme) {
			c.proved = true
		}
	}
	c.s.state.RLock() // the loop reads IDs with the write lock held
	c.rc.IDs = all
	c.s.state.RUnlock()
}

// mayPass says whether a request is allowed on a connection that has not yet authenticated as enforce.auth demands.
func (c *conn) mayPass(op proto.OpCode) bool {
	return op == proto.OpAuth || op == proto.OpSASL || op == proto.OpCloseSession
}
