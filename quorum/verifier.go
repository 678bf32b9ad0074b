package quorum

import (
	"slices"

	"zebu/proto"
)

// Verifier says which sets of servers may decide for an ensemble. Any two quorums of one verifier have a server in
// common. Verifiers are immutable.
type Verifier interface {
	// HasQuorum says whether acks contains a quorum. Members of acks that do not vote count for nothing.
	HasQuorum(acks Set) bool
	// Voters are the servers whose acknowledgement counts, to be read only.
	Voters() Set
	// Weight is what the vote of a server weighs. A server of weight 0 cannot be elected.
	Weight(id proto.ServerID) int64
}

// Majority asks for more than half of the voters.
type Majority struct {
	voters Set
}

// NewMajority returns the rule for plain majorities of voters.
func NewMajority(voters Set) *Majority { return &Majority{voters: voters.Clone()} }

// Voters implements [Verifier].
func (m *Majority) Voters() Set { return m.voters }

// Weight implements [Verifier]: it is 1, like ZooKeeper's, for everybody, because a candidate may be a voter of the next
// configuration only.
func (m *Majority) Weight(proto.ServerID) int64 { return 1 }

// HasQuorum implements [Verifier].
func (m *Majority) HasQuorum(acks Set) bool {
	n := 0
	for _, id := range acks.ids {
		if m.voters.Has(id) {
			n++
		}
	}
	return n > m.voters.Len()/2
}

// Hierarchical asks for more than half of the weight in more than half of the groups. Groups without any weight do not
// count.
type Hierarchical struct {
	voters  Set
	weights []weight // in ascending order of server, everybody in a group
	totals  []int64  // of each group, by its position
	counted int      // groups with weight
}

type weight struct {
	id    proto.ServerID
	group int // position in totals
	value int64
}

// hierarchical returns the rule for c, which has groups and has been checked.
func hierarchical(c *Config) *Hierarchical {
	h := &Hierarchical{voters: c.Voters(), totals: make([]int64, len(c.Groups))}
	for g, group := range c.Groups {
		for _, id := range group.Servers {
			w := c.weight(id)
			h.weights = append(h.weights, weight{id, g, w})
			h.totals[g] += w
		}
		if h.totals[g] > 0 {
			h.counted++
		}
	}
	slices.SortFunc(h.weights, func(a, b weight) int { return int(a.id - b.id) })
	return h
}

// Voters implements [Verifier].
func (h *Hierarchical) Voters() Set { return h.voters }

func (h *Hierarchical) find(id proto.ServerID) (weight, bool) {
	at, found := slices.BinarySearchFunc(h.weights, id, func(w weight, id proto.ServerID) int { return int(w.id - id) })
	if !found {
		return weight{}, false
	}
	return h.weights[at], true
}

// Weight implements [Verifier]. Who is in no group has no weight.
func (h *Hierarchical) Weight(id proto.ServerID) int64 {
	w, _ := h.find(id)
	return w.value
}

// HasQuorum implements [Verifier].
func (h *Hierarchical) HasQuorum(acks Set) bool {
	var few [8]int64 // asked for every acknowledgement: without an allocation in all but strange ensembles
	sums := few[:]
	if len(h.totals) > len(few) {
		sums = make([]int64, len(h.totals))
	}
	sums = sums[:len(h.totals)]
	for _, id := range acks.ids {
		if w, ok := h.find(id); ok && h.voters.Has(id) {
			sums[w.group] += w.value
		}
	}
	won := 0
	for g, sum := range sums {
		if sum > h.totals[g]/2 {
			won++
		}
	}
	return won > h.counted/2
}

// Joint asks for a quorum of every one of several rules: of the committed and of the proposed configuration, while a
// reconfiguration is pending.
type Joint struct {
	parts  []Verifier
	voters Set
}

// NewJoint joins rules; there must be one at least.
func NewJoint(first Verifier, more ...Verifier) *Joint {
	j := &Joint{parts: append([]Verifier{first}, more...), voters: first.Voters()}
	for _, v := range more {
		j.voters = j.voters.Union(v.Voters())
	}
	return j
}

// Voters implements [Verifier]: everybody who votes by one of the rules.
func (j *Joint) Voters() Set { return j.voters }

// Weight implements [Verifier]: the weight by the first rule that the server votes by, so that a voter of the proposed
// configuration alone may be elected.
func (j *Joint) Weight(id proto.ServerID) int64 {
	for _, v := range j.parts {
		if v.Voters().Has(id) {
			return v.Weight(id)
		}
	}
	return j.parts[0].Weight(id)
}

// HasQuorum implements [Verifier].
func (j *Joint) HasQuorum(acks Set) bool {
	for _, v := range j.parts {
		if !v.HasQuorum(acks) {
			return false
		}
	}
	return true
}

// Oracle is the word of an authority outside of the ensemble (oraclePath) that lets one of two servers go on alone. The
// zero value is no oracle.
type Oracle struct {
	// Needed says that no server follows this one: true from the start on, and as long as a leader has no follower.
	Needed bool
	// Grants is what the oracle last said: the first character of its file is '1'.
	Grants bool
}

// Applies says whether the oracle is asked: with an ensemble of two at most, whose member needs it.
func (o Oracle) Applies(v Verifier) bool { return o.Needed && v.Voters().Len() <= 2 }

// HasQuorum says whether acks contains a quorum of v or the oracle stands in for one.
func (o Oracle) HasQuorum(v Verifier, acks Set) bool {
	return v.HasQuorum(acks) || o.Applies(v) && o.Grants
}
