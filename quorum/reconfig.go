package quorum

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"zebu/proto"
)

// ErrMalformed marks those faults of a configuration that ZooKeeper answers with MARSHALLINGERROR when a client asks for
// it, because they escape its own checks: ids that are no numbers, ports out of range, groups of servers that there are
// not. It answers all other faults with BADARGUMENTS.
var ErrMalformed = errors.New("malformed")

// malformed is an error that is ErrMalformed.
type malformed struct{ error }

func (malformed) Is(target error) bool { return target == ErrMalformed }

func (m malformed) Unwrap() error { return m.error }

// Rules are the settings that new configurations are held to.
type Rules struct {
	Standalone   bool // standaloneEnabled: there must be two participants, not one
	MultiAddress bool // multiAddress.enabled: a server may have several addresses
}

// Next returns the configuration that a reconfiguration makes of c (spec 11.3). New members replace everything, given as
// the lines of a dynamic configuration file with commas or newlines between them. Otherwise, if majorities rule, the
// leaving servers go, ids between commas, and then the joining ones come or change, "server.N=..." between commas. The
// version is yet to be set. Errors wrap [ErrMalformed] where that is ZooKeeper's view.
//
// A joining server must have a client port and no address that another server has. ZooKeeper looks names up to tell; here
// names are compared as they are written, since configurations must not depend on who asks which name server.
func (c *Config) Next(r *proto.ReconfigRequest, rules Rules) (*Config, error) {
	var next *Config
	var err error
	if r.NewMembers != nil {
		next, err = replacement(string(r.NewMembers), rules)
	} else {
		next, err = c.incremental(string(r.JoiningServers), string(r.LeavingServers), rules)
	}
	if err != nil {
		return nil, err
	}
	if n := next.Voters().Len(); n < 1 || n < 2 && rules.Standalone {
		return nil, fmt.Errorf("reconfiguration: %d participants are too few", n)
	}
	if err := next.Check(); err != nil {
		return nil, fmt.Errorf("reconfiguration: %w", err)
	}
	return next, nil
}

// replacement reads the members of a reconfiguration that is not incremental.
func replacement(list string, rules Rules) (*Config, error) {
	next, err := parseLines(strings.ReplaceAll(list, ",", "\n"))
	if err != nil {
		return nil, err
	}
	for i := range next.Members {
		if err := next.Members[i].checkAddrs(rules); err != nil {
			return nil, err
		}
	}
	next.sort()
	if next.Hierarchical() {
		if err := next.checkGroups(); err != nil {
			return nil, fmt.Errorf("reconfiguration: %w", err)
		}
	}
	voters, observers := next.Voters().Len(), next.Observers().Len()
	if voters == 0 && (observers > 0 || !rules.Standalone) || voters == 1 && observers > 0 && rules.Standalone {
		return nil, malformed{fmt.Errorf("reconfiguration: %d participants and %d observers make no ensemble", voters, observers)}
	}
	return next, nil
}

// checkAddrs checks what only parsing a line with the settings at hand can.
func (m *Member) checkAddrs(rules Rules) error {
	if len(m.Addrs) > 1 && !rules.MultiAddress {
		return fmt.Errorf("server.%d: several addresses need multiAddress.enabled=true", m.ID)
	}
	return nil
}

func (c *Config) incremental(joining, leaving string, rules Rules) (*Config, error) {
	if c.Hierarchical() {
		return nil, errors.New("reconfiguration: expected new members: with groups or weights there is no incremental change")
	}
	next := &Config{Version: c.Version, Members: slices.Clone(c.Members)}
	for _, s := range splitList(leaving, ",") {
		id, err := parseID(s)
		if err != nil {
			return nil, fmt.Errorf("leaving server: %w", err)
		}
		next.Members = slices.DeleteFunc(next.Members, func(m Member) bool { return m.ID == id })
	}
	for _, s := range splitList(joining, ",") {
		m, err := parseJoiner(s, rules)
		if err != nil {
			return nil, fmt.Errorf("joining server %q: %w", clip(s), err)
		}
		if err := next.join(m); err != nil {
			return nil, fmt.Errorf("joining server %q: %w", clip(s), err)
		}
	}
	return next, nil
}

// parseJoiner reads "server.N=...". Like ZooKeeper it takes anything before the last dot for "server".
func parseJoiner(s string, rules Rules) (Member, error) {
	parts := splitList(s, "=")
	if len(parts) != 2 {
		return Member{}, errors.New("expected server.N=" + memberForm)
	}
	id, err := parseID(parts[0][strings.LastIndexByte(parts[0], '.')+1:])
	if err != nil {
		return Member{}, err
	}
	m, err := ParseMember(id, strings.Clone(parts[1]))
	switch {
	case err != nil:
		return Member{}, err
	case m.Client == (proto.HostPort{}):
		return Member{}, errors.New("expected a client port, behind a semicolon")
	}
	return m, m.checkAddrs(rules)
}

// join adds a server or puts it in the place of one with its id.
func (c *Config) join(m Member) error {
	mine := m.endpoints()
	for i := range c.Members {
		other := &c.Members[i]
		if other.ID == m.ID {
			continue
		}
		for _, e := range other.endpoints() {
			if slices.Contains(mine, e) {
				return fmt.Errorf("%s:%d is an address of server %d", e.Host, e.Port, other.ID)
			}
		}
	}
	if old := c.Member(m.ID); old != nil {
		*old = m
		return nil
	}
	if len(c.Members) == maxMembers {
		return fmt.Errorf("expected no more than %d servers", maxMembers)
	}
	c.Members = append(c.Members, m)
	return nil
}

// endpoints returns the addresses that no other server may have: all but those of loopback and those that stand for
// every address of a machine.
func (m *Member) endpoints() []proto.HostPort {
	all := []proto.HostPort{m.Client}
	for _, a := range m.Addrs {
		all = append(all, proto.HostPort{Host: a.Host, Port: a.Quorum}, proto.HostPort{Host: a.Host, Port: a.Election})
	}
	var own []proto.HostPort
	for _, e := range all {
		e.Host = strings.ToLower(e.Host)
		if a, err := netip.ParseAddr(e.Host); err == nil {
			if a = a.Unmap(); a.IsLoopback() || a.IsUnspecified() {
				continue
			}
			e.Host = a.String()
		}
		if e.Host != "" && e.Host != "localhost" {
			own = append(own, e)
		}
	}
	return own
}

func parseID(s string) (proto.ServerID, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 0 {
		return 0, malformed{fmt.Errorf("%q: expected a server's number, 0 or more", clip(s))}
	}
	return proto.ServerID(id), nil
}

// splitList splits a list and leaves out what is blank.
func splitList(s, sep string) []string {
	var list []string
	for part := range strings.SplitSeq(s, sep) {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// clip shortens what a client sent, for a message.
func clip(s string) string { return s[:min(len(s), 80)] }
