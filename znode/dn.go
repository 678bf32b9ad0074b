package znode

import (
	"slices"
	"strings"
)

// dnKeywords are the attribute types that a distinguished name may use by name.
var dnKeywords = strings.Fields("CN C L S ST O OU T IP STREET DC DNQUALIFIER DNQ SURNAME GIVENNAME INITIALS " +
	"GENERATION EMAIL EMAILADDRESS UID SERIALNUMBER")

// validDN says whether id is a distinguished name as Java's X500Principal takes it, RFC 2253 or 1779; the empty name is
// one. A value in hexadecimal is not looked into.
func validDN(id string) bool {
	for more := id != ""; more; {
		key, rest, ok := strings.Cut(id, "=")
		if !ok || !validDNKey(strings.ToUpper(strings.TrimSpace(key))) {
			return false
		}
		n := dnValue(rest)
		if n < 0 {
			return false
		}
		if more = n < len(rest); more {
			id = rest[n+1:]
		}
	}
	return true
}

func validDNKey(key string) bool {
	if slices.Contains(dnKeywords, key) {
		return true
	}
	parts := strings.Split(strings.TrimPrefix(key, "OID."), ".")
	return len(parts) > 1 && !slices.ContainsFunc(parts, func(p string) bool {
		return p == "" || strings.Trim(p, "0123456789") != ""
	})
}

// dnValue returns the length of the attribute value that s begins with, up to a separator, and -1 if it is malformed.
func dnValue(s string) int {
	i := len(s) - len(strings.TrimLeft(s, " "))
	quoted := i < len(s) && s[i] == '"'
	if quoted {
		i++
	}
	closed := false
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			n := dnEscape(s[i+1:])
			if n == 0 || closed {
				return -1
			}
			i += n
		case c == '"':
			if !quoted || closed {
				return -1
			}
			closed = true
		case quoted && !closed:
		case strings.IndexByte(",;+", c) >= 0:
			return i
		case closed && c != ' ' || c == '<' || c == '>':
			return -1
		}
	}
	if quoted && !closed {
		return -1
	}
	return i
}

// dnEscape returns the length of what an escape that s begins with stands for, 0 if there is none.
func dnEscape(s string) int {
	const hex = "0123456789abcdefABCDEF"
	switch {
	case s == "":
		return 0
	case strings.IndexByte(",=+<>#;\"\\ ", s[0]) >= 0:
		return 1
	case len(s) >= 2 && strings.IndexByte(hex, s[0]) >= 0 && strings.IndexByte(hex, s[1]) >= 0:
		return 2
	}
	return 0
}
