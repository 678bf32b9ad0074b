package server

import (
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"

	"zebu/conf"
	"zebu/internal/jaas"
	"zebu/internal/sasl"
	"zebu/proto"
	"zebu/replica"
)

// saslUsers are the passwords of SASL users by name; nil means that SASL is not offered.
type saslUsers map[string]string

// loadSASL reads the JAAS file. Without a file, or without the section for the client port in it, SASL is off, as in
// ZooKeeper.
func loadSASL(cfg *conf.Auth, log *zap.Logger) (saslUsers, error) {
	if cfg.JAASFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(cfg.JAASFile)
	if err != nil {
		return nil, fmt.Errorf("java.security.auth.login.config: %w", err)
	}
	file, err := jaas.Parse(cfg.JAASFile, text)
	if err != nil {
		return nil, fmt.Errorf("java.security.auth.login.config: %w", err)
	}
	section, ok := file[cfg.JAASSection]
	if !ok {
		log.Warn("no SASL on the client port: the JAAS file has no section for it",
			zap.String("file", cfg.JAASFile), zap.String("section", cfg.JAASSection))
		return nil, nil
	}
	module, ok := section.Digest()
	if !ok {
		return nil, fmt.Errorf("%s: section %s has no DigestLoginModule; DIGEST-MD5 is the only SASL mechanism supported",
			cfg.JAASFile, cfg.JAASSection)
	}
	users := saslUsers(module.Users())
	if cfg.SASLSuperPassword != "" {
		users["super"] = cfg.SASLSuperPassword
	}
	return users, nil
}

// saslRequest serves one step of a SASL exchange at once, ahead of requests still in flight (spec 5.4).
func (c *conn) saslRequest(req *replica.Request) error {
	var in proto.TokenRecord
	d := proto.NewDecoder(req.Body)
	if in.Decode(&d); d.Err() != nil {
		return errClose
	}
	if c.s.users == nil {
		c.reply(req, proto.OK, proto.AppendBuf(nil, nil))
		return nil
	}
	if c.sasl == nil {
		c.sasl = sasl.NewServer(sasl.ClientPort, rand.Text(), func(user string) (string, bool) {
			password, ok := c.s.users[user]
			return password, ok
		})
	}
	out, err := c.sasl.Step(in.Token)
	auth := &c.s.cfg.Auth
	required := auth.Enforce && slices.Contains(auth.EnforceSchemes, "sasl")
	switch {
	case err == nil:
	case auth.AllowFailedSASL && !required:
		out = nil
	default:
		c.s.authFailed.Add(1)
		code := proto.ErrAuthFailed
		if required {
			code = proto.ErrSessionClosedRequireSASL
		}
		c.reply(req, code, proto.AppendBuf(nil, nil))
		return errClose
	}
	if err == nil && c.sasl.Done() {
		name := localName(c.sasl.User(), auth.RemoveHost, auth.RemoveRealm)
		ids := []proto.ID{{Scheme: "sasl", ID: name}}
		if slices.Contains(auth.SuperUsers, name) {
			ids = append(ids, proto.ID{Scheme: "super"})
		}
		c.addIDs(ids)
	}
	c.reply(req, proto.OK, proto.AppendBuf(nil, out))
	return nil
}

// localName shortens a Kerberos-style name user[/host][@realm] as the kerberos.remove… properties say.
func localName(name string, removeHost, removeRealm bool) string {
	rest, realm, hasRealm := strings.Cut(name, "@")
	user, host, hasHost := strings.Cut(rest, "/")
	if hasHost && !removeHost {
		user += "/" + host
	}
	if hasRealm && !removeRealm {
		user += "@" + realm
	}
	return user
}
