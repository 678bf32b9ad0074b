package znode

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"zebu/proto"
)

// Names of the two nodes that make a quota, below quotaPath and the path it is on (spec 6).
const (
	limitsName = "zookeeper_limits"
	statsName  = "zookeeper_stats"
)

// usage is the text in a limits or stats node. -1 is unlimited or unknown.
type usage struct {
	count, bytes         int64
	countHard, bytesHard int64
	other                []string // every pair but count and bytes
}

// parseUsage reads "count=C,bytes=B" and what may follow. Where Apache ZooKeeper throws, and so dies of a client's
// writing nonsense to such a node, the nonsense is left out.
func parseUsage(text []byte) usage {
	u := usage{count: -1, bytes: -1, countHard: -1, bytesHard: -1}
	for pair := range bytes.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' }) {
		key, rest, _ := strings.Cut(string(pair), "=")
		digits, _, _ := strings.Cut(rest, "=")
		v, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			v = -1
		}
		switch key {
		case "count":
			u.count = v
			continue
		case "bytes":
			u.bytes = v
			continue
		case "countHardLimit":
			u.countHard = v
		case "byteHardLimit":
			u.bytesHard = v
		}
		u.other = slices.DeleteFunc(u.other, func(o string) bool { return strings.HasPrefix(o, key+"=") })
		if key != "" {
			u.other = append(u.other, key+"="+strconv.FormatInt(v, 10))
		}
	}
	return u
}

// text is the form that servers write. The second "=" makes old readers stop where they must.
func (u *usage) text() []byte {
	b := strconv.AppendInt([]byte("count="), u.count, 10)
	b = strconv.AppendInt(append(b, ",bytes="...), u.bytes, 10)
	if len(u.other) > 0 {
		slices.Sort(u.other)
		b = append(b, '=')
		for _, o := range u.other {
			b = append(append(b, ';'), o...)
		}
	}
	return b
}

// quotaOf returns the path that a node directly below parent may set a quota on.
func quotaOf(parent string) (path string, ok bool) {
	path, ok = strings.CutPrefix(parent, quotaPath)
	return path, ok && (path == "" || path[0] == '/')
}

// quotaPrefix returns the deepest path with a quota that path is at or below.
func (t *Tree) quotaPrefix(path string) (prefix string, ok bool) {
	if len(t.quotas) == 0 {
		return "", false
	}
	for len(path) > 1 {
		if _, ok := t.quotas[path]; ok {
			return path, true
		}
		path = path[:max(0, strings.LastIndexByte(path, '/'))]
	}
	return "", false
}

// quotaCreated accounts for a new node, which may itself set up a quota.
func (t *Tree) quotaCreated(parent, name, path string, size int) {
	if on, ok := quotaOf(parent); ok {
		switch name {
		case limitsName:
			if on != "" {
				t.quotas[strings.Clone(on)] = struct{}{}
			}
		case statsName:
			t.quotaRecount(on)
		}
	}
	t.quotaChanged(path, 1, size)
}

// quotaDeleted accounts for a node that is gone.
func (t *Tree) quotaDeleted(parent, name, path string, size int) {
	if on, ok := quotaOf(parent); ok && name == limitsName {
		delete(t.quotas, on)
	}
	t.quotaChanged(path, -1, -size)
}

// quotaChanged adds to the stats node of the quota that path falls under. Every replica does so for itself: it shows in
// no stat, and fires no watch.
func (t *Tree) quotaChanged(path string, count, size int) {
	prefix, ok := t.quotaPrefix(path)
	if !ok {
		return
	}
	statsPath := quotaPath + prefix + "/" + statsName
	if idx := t.resolve(statsPath); idx != 0 {
		n := t.mut(idx)
		u := parseUsage(n.Data())
		u.count += int64(count)
		u.bytes += int64(size)
		t.setPayload(n, statsPath, u.text())
	}
}

// quotaRecount fills in the stats node of a quota with what the nodes at and below path come to.
func (t *Tree) quotaRecount(path string) {
	statsPath := quotaPath + path + "/" + statsName
	idx := t.resolve(statsPath)
	if idx == 0 {
		return
	}
	var u usage
	if top := t.resolve(path); top != 0 {
		t.walk(top, func(n *Node) {
			u.count++
			u.bytes += int64(n.dataLen())
		})
	}
	t.setPayload(t.mut(idx), statsPath, u.text())
}

// walk visits a node and its descendants, parents first.
func (t *Tree) walk(top uint32, visit func(*Node)) {
	for idx := top; ; {
		n := t.node(idx)
		visit(n)
		if n.firstChild != 0 {
			idx = n.firstChild
			continue
		}
		for idx != top && t.node(idx).next == 0 {
			idx = t.node(idx).parent
		}
		if idx == top {
			return
		}
		idx = t.node(idx).next
	}
}

// quotaSetup finds the quotas of a tree just loaded and counts anew, as ZooKeeper does: a snapshot's counts may be out
// of date.
func (t *Tree) quotaSetup() {
	top := t.resolve(quotaPath)
	if top == 0 {
		return
	}
	var limits []uint32
	t.walk(top, func(n *Node) {
		if n.firstChild == 0 && n.Name() == limitsName {
			limits = append(limits, n.parent)
		}
	})
	for _, parent := range limits {
		if on, ok := quotaOf(t.pathOf(parent)); ok && on != "" {
			t.quotas[on] = struct{}{}
			t.quotaRecount(on)
		}
	}
}

// quotaAllows says whether hard limits let a request through that adds count nodes and size bytes at path. What is
// planned but not applied does not count, as in ZooKeeper (spec 2.4).
func (t *Tree) quotaAllows(path string, count, size int) proto.ErrCode {
	if !t.opts.EnforceQuota {
		return proto.OK
	}
	prefix, ok := t.quotaPrefix(path)
	if !ok {
		return proto.OK
	}
	limits, stats := t.Lookup(quotaPath+prefix+"/"+limitsName), t.Lookup(quotaPath+prefix+"/"+statsName)
	if limits == nil || stats == nil {
		return proto.OK
	}
	l, s := parseUsage(limits.Data()), parseUsage(stats.Data())
	if count != 0 && l.countHard > -1 && s.count+int64(count) > l.countHard ||
		size != 0 && l.bytesHard > -1 && s.bytes+int64(size) > l.bytesHard {
		return proto.ErrQuotaExceeded
	}
	return proto.OK
}

// Quota is a quota and what of it is used: numbers of nodes, and bytes of data; -1 is no limit, or not known.
type Quota struct {
	Path                   string // that it is on
	CountLimit, BytesLimit int64  // the hard limit, or else the soft one
	Count, Bytes           int64
}

// Quotas lists the quotas by path, for reports.
func (t *Tree) Quotas() []Quota {
	out := make([]Quota, 0, len(t.quotas))
	for path := range t.quotas {
		q := Quota{Path: path, CountLimit: -1, BytesLimit: -1, Count: -1, Bytes: -1}
		if n := t.Lookup(quotaPath + path + "/" + limitsName); n != nil {
			u := parseUsage(n.Data())
			q.CountLimit, q.BytesLimit = u.countHard, u.bytesHard
			if q.CountLimit < 0 {
				q.CountLimit = u.count
			}
			if q.BytesLimit < 0 {
				q.BytesLimit = u.bytes
			}
		}
		if n := t.Lookup(quotaPath + path + "/" + statsName); n != nil {
			u := parseUsage(n.Data())
			q.Count, q.Bytes = u.count, u.bytes
		}
		out = append(out, q)
	}
	slices.SortFunc(out, func(a, b Quota) int { return strings.Compare(a.Path, b.Path) })
	return out
}
