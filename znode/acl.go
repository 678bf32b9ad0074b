package znode

import (
	"slices"
	"strings"

	"zebu/proto"
)

// Permits says whether a connection that is known as ids holds permission perm under acl (spec 5.1). With several bits
// in perm, any of them will do.
func (t *Tree) Permits(acl []proto.ACL, perm int32, ids []proto.ID) bool {
	if t.opts.SkipACL || len(acl) == 0 {
		return true
	}
	for i := range ids {
		if ids[i].Scheme == "super" {
			return true
		}
	}
	for i := range acl {
		if acl[i].Perms&perm != 0 && t.matches(&acl[i].ID, ids) {
			return true
		}
	}
	return false
}

// matches says whether an entry's identity speaks of one of ids (spec 5.3).
func (t *Tree) matches(id *proto.ID, ids []proto.ID) bool {
	if *id == anyone {
		return true
	}
	for i := range ids {
		if ids[i].Scheme != id.Scheme {
			continue
		}
		who := ids[i].ID
		ok := false
		switch id.Scheme {
		case "digest":
			ok = who == id.ID
		case "ip":
			ok = matchIP(who, id.ID)
		case "sasl":
			ok = t.opts.SASL && (who == id.ID || who == "super" ||
				t.opts.LetAnySASLUser != "" && id.ID == t.opts.LetAnySASLUser)
		case "x509":
			ok = t.opts.X509 && (who == id.ID || t.opts.X509SuperUser != "" && who == t.opts.X509SuperUser)
		}
		if ok {
			return true
		}
	}
	return false
}

var anyone = proto.ID{Scheme: "world", ID: "anyone"}

// FixupACL appends to dst the list that a request's acl stands for when it comes from a connection known as ids
// (spec 5.2), or reports ErrInvalidACL. Strings alias those of acl and ids.
func (t *Tree) FixupACL(dst, acl []proto.ACL, ids []proto.ID) ([]proto.ACL, proto.ErrCode) {
	if len(acl) == 0 {
		return dst, proto.ErrInvalidACL
	}
	var seen map[proto.ACL]struct{} // instead of comparing all with all
	if len(acl) > 32 {
		seen = make(map[proto.ACL]struct{}, len(acl))
	}
	for i, a := range acl {
		if seen != nil {
			if _, dup := seen[a]; dup {
				continue
			}
			seen[a] = struct{}{}
		} else if slices.Contains(acl[:i], a) {
			continue
		}
		switch {
		case a.ID == anyone:
			dst = append(dst, a)
		case a.ID.Scheme == "auth":
			n := len(dst)
			for _, id := range ids {
				if t.authenticated(id.Scheme) {
					dst = append(dst, proto.ACL{Perms: a.Perms, ID: id})
				}
			}
			if len(dst) == n {
				return dst, proto.ErrInvalidACL
			}
		case t.validID(a.ID):
			dst = append(dst, a)
		default:
			return dst, proto.ErrInvalidACL
		}
	}
	return dst, proto.OK
}

// authenticated says whether identities of a scheme are proven, so that "auth" means them.
func (t *Tree) authenticated(scheme string) bool {
	return scheme == "digest" || scheme == "sasl" && t.opts.SASL || scheme == "x509" && t.opts.X509
}

// validID says whether an identity may stand in an ACL.
func (t *Tree) validID(id proto.ID) bool {
	switch id.Scheme {
	case "ip":
		return validIP(id.ID)
	case "digest":
		return validDigest(id.ID)
	case "sasl":
		return t.opts.SASL && validKerberos(id.ID)
	case "x509":
		return t.opts.X509 && validDN(id.ID)
	}
	return false
}

// validDigest says whether id is two parts at colons, those empty at the end not counted.
func validDigest(id string) bool {
	id = strings.TrimRight(id, ":")
	return strings.Count(id, ":") == 1
}

// validKerberos says whether id is a plain name or a Kerberos principal: service[/host]@realm.
func validKerberos(id string) bool {
	who, realm, ok := strings.Cut(id, "@")
	return !ok || !strings.ContainsAny(realm, "/@") && strings.Count(who, "/") <= 1
}

// MaskACL appends acl to dst with the secrets of digest ids masked, as getACL shows it to those without ADMIN
// (spec 2.5).
func MaskACL(dst, acl []proto.ACL) []proto.ACL {
	for _, a := range acl {
		if user, _, ok := strings.Cut(a.ID.ID, ":"); ok && a.ID.Scheme == "digest" {
			a.ID.ID = user + ":x"
		}
		dst = append(dst, a)
	}
	return dst
}
