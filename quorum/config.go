package quorum

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"zebu/proto"
)

// Config is one configuration of an ensemble (spec 11.1): what server.N, group.G and weight.N lines say. Values made by
// [ParseConfig], and those that [Config.Check] accepts, keep all lists in ascending order of id. A Config in use is
// not changed; a new one replaces it.
type Config struct {
	// Version is the zxid of the reconfiguration that made it, 0 for the first one.
	Version proto.Zxid
	Members []Member
	// Groups and Weights make quorums hierarchical; without any, majorities rule.
	Groups  []Group
	Weights []Weight
}

// Member is one server: a server.N line.
type Member struct {
	ID       proto.ServerID
	Addrs    []PeerAddr // at least one; more need multiAddress.enabled
	Observer bool
	// Client is the address for clients; the zero value if the line has none.
	Client proto.HostPort
}

// PeerAddr is one address of a member with its ports.
type PeerAddr struct {
	Host     string // a name or an address without brackets
	Quorum   int
	Election int
}

// Group is a group.G line.
type Group struct {
	ID      int64
	Servers []proto.ServerID
}

// Weight is a weight.N line. Voters without one have weight 1.
type Weight struct {
	ID    proto.ServerID
	Value int64
}

const (
	// maxWeight keeps sums of weights far from overflow.
	maxWeight = 1 << 32
	// maxMembers bounds the work that a peer's configuration can cause.
	maxMembers = 1024
)

// Hierarchical says whether c has groups or weights.
func (c *Config) Hierarchical() bool { return len(c.Groups) > 0 || len(c.Weights) > 0 }

// Member returns the member of that id, nil if there is none.
func (c *Config) Member(id proto.ServerID) *Member {
	for i := range c.Members {
		if c.Members[i].ID == id {
			return &c.Members[i]
		}
	}
	return nil
}

// Voters returns the participants.
func (c *Config) Voters() Set { return c.members(false) }

// Observers returns the members that do not vote.
func (c *Config) Observers() Set { return c.members(true) }

func (c *Config) members(observer bool) Set {
	var s Set
	for i := range c.Members {
		if c.Members[i].Observer == observer {
			s.Add(c.Members[i].ID)
		}
	}
	return s
}

// weight returns a server's weight in a hierarchical configuration.
func (c *Config) weight(id proto.ServerID) int64 {
	for _, w := range c.Weights {
		if w.ID == id {
			return w.Value
		}
	}
	return 1
}

// Verifier returns c's rule for quorums. c must have passed [Config.Check].
func (c *Config) Verifier() Verifier {
	if c.Hierarchical() {
		return hierarchical(c)
	}
	return NewMajority(c.Voters())
}

// SameMembers says whether c and o differ in nothing but the version: the change from one to the other needs no
// new election.
func (c *Config) SameMembers(o *Config) bool { return c == o || c.lines() == o.lines() }

// Check sorts c's lists and says what ZooKeeper would not run with.
func (c *Config) Check() error {
	c.sort()
	if c.Voters().Len() == 0 {
		return errors.New("expected a participant")
	}
	if max(len(c.Members), len(c.Groups), len(c.Weights)) > maxMembers {
		return fmt.Errorf("expected no more than %d servers", maxMembers)
	}
	if !c.Hierarchical() {
		return nil
	}
	return c.checkGroups()
}

func (c *Config) sort() {
	slices.SortFunc(c.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(c.Groups, func(a, b Group) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(c.Weights, func(a, b Weight) int { return cmp.Compare(a.ID, b.ID) })
}

func (c *Config) checkGroups() error {
	var grouped Set
	for _, g := range c.Groups {
		slices.Sort(g.Servers)
		for _, id := range g.Servers {
			if !grouped.Add(id) {
				return fmt.Errorf("server %d is in more than one group", id)
			}
			m := c.Member(id)
			if m == nil {
				return malformed{fmt.Errorf("group %d names server %d, which has no server line", g.ID, id)}
			}
			if m.Observer && !slices.ContainsFunc(c.Weights, func(w Weight) bool { return w.ID == id }) {
				return malformed{fmt.Errorf("group %d names server %d, an observer without a weight", g.ID, id)}
			}
		}
	}
	for _, id := range c.Voters().ids {
		if !grouped.Has(id) {
			return fmt.Errorf("server %d is in no group, though there are groups or weights", id)
		}
	}
	return nil
}

// String returns c's text as ZooKeeper writes it: in /zookeeper/config, in notifications and in NEWLEADER. The version
// ends it, without a newline. Where ZooKeeper follows the order of its hash tables, which is ascending up to id 15, it
// is ascending here.
func (c *Config) String() string {
	return c.lines() + "version=" + strconv.FormatUint(uint64(c.Version), 16)
}

// lines returns the text without the version.
func (c *Config) lines() string {
	var b strings.Builder
	for i := range c.Members {
		m := &c.Members[i]
		fmt.Fprintf(&b, "server.%d=%v\n", m.ID, m)
	}
	for _, g := range c.Groups {
		fmt.Fprintf(&b, "group.%d=", g.ID)
		for i, id := range g.Servers {
			if i > 0 {
				b.WriteByte(':')
			}
			b.WriteString(strconv.FormatInt(int64(id), 10))
		}
		b.WriteByte('\n')
	}
	c.writeWeights(&b)
	return b.String()
}

// writeWeights writes the weight of every voter, given or not, and those given to others.
func (c *Config) writeWeights(b *strings.Builder) {
	if !c.Hierarchical() {
		return
	}
	weighed := c.Voters()
	for _, w := range c.Weights {
		weighed.Add(w.ID)
	}
	for _, id := range weighed.ids {
		fmt.Fprintf(b, "weight.%d=%d\n", id, c.weight(id))
	}
}

// String returns what stands behind "server.N=".
func (m *Member) String() string {
	addrs := slices.Clone(m.Addrs)
	slices.SortStableFunc(addrs, func(a, b PeerAddr) int { return strings.Compare(hostText(a.Host), hostText(b.Host)) })
	var b strings.Builder
	for i, a := range addrs {
		if i > 0 {
			b.WriteByte('|')
		}
		fmt.Fprintf(&b, "%s:%d:%d", bracketed(a.Host), a.Quorum, a.Election)
	}
	if m.Observer {
		b.WriteString(":observer")
	} else {
		b.WriteString(":participant")
	}
	if m.Client != (proto.HostPort{}) {
		fmt.Fprintf(&b, ";%s:%d", bracketed(m.Client.Host), m.Client.Port)
	}
	return b.String()
}

func bracketed(host string) string {
	host = hostText(host)
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// hostText returns a host as Java prints it: IPv6 addresses with all their eight numbers.
func hostText(host string) string {
	a, err := netip.ParseAddr(host)
	if err != nil || a.Is4() || a.Zone() != "" {
		return host
	}
	if a.Is4In6() {
		return a.Unmap().String()
	}
	var parts []string
	for b := a.As16(); len(parts) < 8; {
		i := 2 * len(parts)
		parts = append(parts, strconv.FormatUint(uint64(b[i])<<8|uint64(b[i+1]), 16))
	}
	return strings.Join(parts, ":")
}
