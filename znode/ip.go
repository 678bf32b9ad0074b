package znode

import (
	"strconv"
	"strings"
)

// ipAddr is an address of 4 or 16 bytes.
type ipAddr struct {
	b [16]byte
	n int
}

// parseIP reads an address as ZooKeeper's ip scheme does: IPv4 as four decimal numbers, leading zeros allowed; IPv6 as
// groups with at most one "::", without a zone or a dotted tail.
func parseIP(s string) (a ipAddr, ok bool) {
	if !strings.Contains(s, ":") {
		a.n = 4
		for i := range 4 {
			part, rest, more := strings.Cut(s, ".")
			v, err := strconv.Atoi(part)
			if err != nil || v < 0 || v > 255 || more != (i < 3) {
				return a, false
			}
			a.b[i] = byte(v)
			s = rest
		}
		return a, true
	}
	a.n = 16
	head, tail, gap := strings.Cut(s, "::")
	n, ok := parseGroups(head, a.b[:])
	if !ok || !gap {
		return a, ok && n == 16
	}
	var end [16]byte
	m, ok := parseGroups(tail, end[:])
	if !ok || n+m >= 16 {
		return a, false
	}
	copy(a.b[16-m:], end[:m])
	return a, true
}

// parseGroups reads groups of up to four hexadecimal digits into b and returns the number of bytes.
func parseGroups(s string, b []byte) (n int, ok bool) {
	for more := s != ""; more; {
		var group string
		group, s, more = strings.Cut(s, ":")
		v, err := strconv.ParseUint(group, 16, 16)
		if err != nil || len(group) > 4 || n == len(b) {
			return 0, false
		}
		b[n], b[n+1] = byte(v>>8), byte(v)
		n += 2
	}
	return n, true
}

// parseIPRange reads an address with an optional /bits.
func parseIPRange(s string) (a ipAddr, bits int, ok bool) {
	addr, suffix, has := strings.Cut(s, "/")
	if a, ok = parseIP(addr); !ok {
		return a, 0, false
	}
	bits = a.n * 8
	if has {
		v, err := strconv.Atoi(suffix)
		if err != nil || v < 0 || v > bits {
			return a, 0, false
		}
		bits = v
	}
	return a, bits, true
}

func validIP(id string) bool {
	_, _, ok := parseIPRange(id)
	return ok
}

// matchIP says whether the address who lies in the range of an ACL's id.
func matchIP(who, id string) bool {
	r, bits, ok := parseIPRange(id)
	a, ok2 := parseIP(who)
	if !ok || !ok2 || a.n != r.n {
		return false
	}
	for i := 0; i < a.n && bits > 0; i++ {
		mask := byte(0xff)
		if bits < 8 {
			mask <<= 8 - bits
		}
		if (a.b[i]^r.b[i])&mask != 0 {
			return false
		}
		bits -= 8
	}
	return true
}
