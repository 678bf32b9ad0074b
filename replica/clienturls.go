package replica

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"zebu/proto"
)

// SetClientURL says where this server's etcd API is reached, before [Member.Start]. The other servers come to know of it: a learner tells
// its leader, and whoever wants to know all asks that.
func (m *Member) SetClientURL(url string) { m.r.kv.url = url }

// tellClientURL tells the leader, by asking it.
func (m *Member) tellClientURL() {
	if m.r.kv.url != "" && m.r.kv.store != nil && m.SharesEtcd(m.leaderID) {
		m.r.inquire(ClientURLs, 0, nil)
	}
}

// clientURLs is what the leader answers.
func (m *Member) clientURLs() string {
	if m.r.kv.url != "" {
		m.urls[m.o.ID] = m.r.kv.url
	}
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(m.urls)) {
		if url := m.urls[id]; url != "" {
			fmt.Fprintf(&b, "%d %s\n", id, url)
		}
	}
	return b.String()
}

// ParseClientURLs reads what a [Call] has as URLs.
func ParseClientURLs(text string) map[proto.ServerID]string {
	all := map[proto.ServerID]string{}
	for line := range strings.Lines(text) {
		var id proto.ServerID
		var url string
		if _, err := fmt.Sscan(line, &id, &url); err == nil {
			all[id] = url
		}
	}
	return all
}
