package client

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// defaultPort is where a server listens if the connect string does not say.
const defaultPort = "2181"

// ParseServers splits a connect string, host:port,host:port/chroot, as ZooKeeper's clients understand it: the port may
// be left out, IPv6 addresses stand in brackets. root is "" if there is no chroot.
func ParseServers(s string) (servers []string, root string, err error) {
	hosts := s
	if i := strings.IndexByte(s, '/'); i >= 0 {
		hosts, root = s[:i], s[i:]
		if root == "/" {
			root = ""
		} else if err := checkPath(root); err != nil {
			return nil, "", fmt.Errorf("connect string %q: chroot: %w", s, err)
		}
	}
	for _, h := range strings.Split(hosts, ",") {
		if h = strings.TrimSpace(h); h == "" {
			continue
		}
		addr, err := address(h)
		if err != nil {
			return nil, "", fmt.Errorf("connect string %q: %w", s, err)
		}
		servers = append(servers, addr)
	}
	if len(servers) == 0 {
		return nil, "", fmt.Errorf("connect string %q names no server", s)
	}
	return servers, root, nil
}

// address adds the default port to a host that has none.
func address(h string) (string, error) {
	host, port := h, defaultPort
	switch i := strings.LastIndexByte(h, ':'); {
	case strings.HasPrefix(h, "["):
		end := strings.IndexByte(h, ']')
		if end < 0 {
			return "", fmt.Errorf("%s: no closing bracket", h)
		}
		host = h[1:end]
		if rest := h[end+1:]; rest != "" {
			if !strings.HasPrefix(rest, ":") {
				return "", fmt.Errorf("%s: expected a colon after the bracket", h)
			}
			port = rest[1:]
		}
	case i >= 0 && strings.IndexByte(h, ':') == i:
		host, port = h[:i], h[i+1:]
		if port == "" {
			port = defaultPort
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%s: %q is not a port", h, port)
	}
	return net.JoinHostPort(host, port), nil
}

// checkPath refuses what no server takes as a path (spec 1.7), so that a typing error is told without a round trip.
func checkPath(p string) error {
	switch {
	case p == "":
		return errors.New("a path must not be empty")
	case p[0] != '/':
		return fmt.Errorf("path %q must start with /", p)
	case p != "/" && p[len(p)-1] == '/':
		return fmt.Errorf("path %q must not end with /", p)
	}
	for _, name := range strings.Split(p[1:], "/") {
		if p == "/" {
			break
		}
		if name == "" || name == "." || name == ".." {
			return fmt.Errorf("path %q has an empty or relative component", p)
		}
	}
	for _, r := range p {
		if r <= 0x1f || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0 {
			return fmt.Errorf("path %q has the character %U, which is not allowed", p, r)
		}
	}
	return nil
}

// PathError is a path that no server would take.
type PathError struct{ err error }

func (e *PathError) Error() string { return e.err.Error() }

// CheckPath returns a [PathError] for a path that breaks the rules of spec 1.7.
func CheckPath(p string) error {
	if err := checkPath(p); err != nil {
		return &PathError{err}
	}
	return nil
}
