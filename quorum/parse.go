package quorum

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"zebu/proto"
)

// ParseConfig reads the text of a configuration (spec 11.1), of a dynamic configuration file, or of a reconfiguration's
// new members with newlines for commas. Lines are those of Java's properties files without escapes; of two lines for
// the same thing the last one counts. Errors name the line. Nothing of text is kept.
func ParseConfig(text string) (*Config, error) {
	c, err := parseLines(text)
	if err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

// parseLines reads the lines of a configuration and looks at each by itself alone.
func parseLines(text string) (*Config, error) {
	c := &Config{}
	n := 0
	for line := range strings.SplitSeq(strings.Clone(text), "\n") {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		if n > 4*maxMembers {
			return nil, fmt.Errorf("configuration: expected no more than %d lines", 4*maxMembers)
		}
		if err := c.parseLine(line); err != nil {
			return nil, fmt.Errorf("configuration, line %d: %w", n, err)
		}
	}
	return c, nil
}

// cutLine splits a properties line: the key ends at the first =, : or blank.
func cutLine(line string) (key, value string) {
	at := strings.IndexAny(line, "=: \t\f")
	if at < 0 {
		return line, ""
	}
	key, value = line[:at], strings.TrimLeft(line[at:], " \t\f")
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], " \t\f")
	}
	return key, value
}

func (c *Config) parseLine(line string) error {
	if strings.Contains(line, `\`) {
		return errors.New("expected no backslash")
	}
	key, value := cutLine(line)
	if key == "version" {
		v, err := strconv.ParseInt(value, 16, 64)
		if err != nil {
			return malformed{fmt.Errorf("version %q: expected a hexadecimal number", value)}
		}
		c.Version = proto.Zxid(v)
		return nil
	}
	if err := c.Set(key, value); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// Set takes one server.N, group.G or weight.N line, in place of an earlier one for the same key. Its error says what was
// expected, without the key.
func (c *Config) Set(key, value string) error {
	kind, number, dotted := strings.Cut(key, ".")
	if kind != "group" && kind != "weight" && (kind != "server" || !dotted) {
		return errors.New("expected server.N, group.N or weight.N")
	}
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || id < 0 {
		return malformed{errors.New("expected a number, 0 or more, behind the dot")}
	}
	switch kind {
	case "server":
		m, err := ParseMember(proto.ServerID(id), value)
		if err != nil {
			return err
		}
		if old := c.Member(m.ID); old != nil {
			*old = m
		} else {
			c.Members = append(c.Members, m)
		}
		return nil
	case "group":
		return c.parseGroup(id, value)
	default:
		return c.parseWeight(proto.ServerID(id), value)
	}
}

func (c *Config) parseGroup(id int64, value string) error {
	g := Group{ID: id}
	for s := range strings.SplitSeq(value, ":") {
		sid, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return malformed{fmt.Errorf("%q: expected server ids between colons", value)}
		}
		g.Servers = append(g.Servers, proto.ServerID(sid))
	}
	for i := range c.Groups {
		if c.Groups[i].ID == id {
			c.Groups[i] = g
			return nil
		}
	}
	c.Groups = append(c.Groups, g)
	return nil
}

func (c *Config) parseWeight(id proto.ServerID, value string) error {
	v, err := strconv.ParseInt(value, 10, 64)
	if err != nil || v < 0 || v > maxWeight {
		return malformed{fmt.Errorf("%q: expected a whole number from 0 to %d", value, int64(maxWeight))}
	}
	for i := range c.Weights {
		if c.Weights[i].ID == id {
			c.Weights[i].Value = v
			return nil
		}
	}
	c.Weights = append(c.Weights, Weight{id, v})
	return nil
}

// memberForm tells the shape of a server line.
const memberForm = "host:quorumPort:electionPort[:participant|observer][;[clientHost:]clientPort], " +
	"an IPv6 address in brackets, several addresses separated by |"

var errMember = errors.New("expected " + memberForm)

// ParseMember reads what stands behind "server.N=". A role left out is participant; a client port alone is that port of
// all addresses, 0.0.0.0.
func ParseMember(id proto.ServerID, text string) (Member, error) {
	m := Member{ID: id}
	server, client, _ := strings.Cut(text, ";")
	if err := m.parseClient(client); err != nil {
		return Member{}, err
	}
	role := ""
	for addr := range strings.SplitSeq(server, "|") {
		parts, err := hostParts(addr)
		if err != nil || len(parts) < 3 || len(parts) > 4 || !isHost(parts[0]) {
			return Member{}, errMember
		}
		peer, err := parsePeer(parts)
		if err != nil {
			return Member{}, err
		}
		m.Addrs = append(m.Addrs, peer)
		if len(parts) == 3 {
			continue
		}
		r := strings.ToLower(strings.TrimSpace(parts[3]))
		if r != "participant" && r != "observer" {
			return Member{}, fmt.Errorf("role %q: expected participant or observer", parts[3])
		}
		if role != "" && r != role {
			return Member{}, errors.New("expected one role for all addresses")
		}
		role = r
	}
	m.Observer = role == "observer"
	return m, nil
}

func (m *Member) parseClient(client string) error {
	if client == "" {
		return nil
	}
	parts, err := hostParts(client)
	if err != nil || len(parts) > 2 || len(parts) == 2 && !isHost(parts[0]) {
		return errMember
	}
	m.Client.Host = "0.0.0.0"
	if len(parts) == 2 {
		m.Client.Host = parts[0]
	}
	if m.Client.Port, err = portNumber(parts[len(parts)-1]); err != nil {
		return fmt.Errorf("client port: %w", err)
	}
	return nil
}

func parsePeer(parts []string) (PeerAddr, error) {
	quorum, err := portNumber(parts[1])
	if err != nil {
		return PeerAddr{}, fmt.Errorf("quorum port: %w", err)
	}
	election, err := portNumber(parts[2])
	if err != nil {
		return PeerAddr{}, fmt.Errorf("election port: %w", err)
	}
	if quorum == election {
		return PeerAddr{}, errors.New("expected different quorum and election ports")
	}
	return PeerAddr{Host: parts[0], Quorum: quorum, Election: election}, nil
}

// isHost says whether s may be a name or an address: nothing that would be read otherwise in another place.
func isHost(s string) bool {
	return s != "" && !strings.ContainsAny(s, `[]|;,=\`) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) || unicode.IsSpace(r)
	})
}

// hostParts splits at colons, an IPv6 address in brackets counting as one part. Like Java it ignores colons at the end.
func hostParts(s string) ([]string, error) {
	rest, inBrackets := strings.CutPrefix(s, "[")
	if !inBrackets {
		return strings.Split(strings.TrimRight(s, ":"), ":"), nil
	}
	host, ports, closed := strings.Cut(rest, "]:")
	if !closed || ports == "" {
		return nil, errMember
	}
	return append([]string{host}, strings.Split(strings.TrimRight(ports, ":"), ":")...), nil
}

func portNumber(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err == nil && n >= 0 && n <= 65535 {
		return int(n), nil
	}
	fault := fmt.Errorf("%q: expected a number from 0 to 65535", s)
	if err == nil {
		return 0, malformed{fault}
	}
	return 0, fault
}
