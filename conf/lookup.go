package conf

import (
	"maps"
	"slices"
	"strings"
)

// index finds keys by name; families by their name with the last dot.
var index = func() map[string]*keyDef {
	m := make(map[string]*keyDef, len(honoured)+len(unhonoured))
	for i := range honoured {
		m[honoured[i].name] = &honoured[i]
	}
	for i := range unhonoured {
		m[unhonoured[i].name] = &unhonoured[i]
	}
	return m
}()

// find returns the key of a name, or the narrowest family that it belongs to, or nil.
func find(name string) *keyDef {
	if d := index[name]; d != nil {
		return d
	}
	for prefix := name; ; {
		dot := strings.LastIndexByte(prefix, '.')
		if dot < 0 {
			return nil
		}
		if d := index[prefix[:dot+1]]; d != nil {
			return d
		}
		prefix = prefix[:dot]
	}
}

// isFamily says whether a name is one of those that applyFamilies takes.
func isFamily(name string) bool {
	return name == "superUser" || strings.HasPrefix(name, "superUser.") || strings.HasPrefix(name, "authProvider.")
}

// noteTheRest warns of every key and property given that no field took.
func (l *loader) noteTheRest() {
	for _, key := range sortedKeys(l.c.settings) {
		if d := find(key); d != nil && d.warns(l.c.settings[key].Value) {
			l.warn(l.c.settings[key].Source, key, d.note)
		}
	}
	for _, name := range sortedKeys(l.c.props) {
		l.noteProperty(name, l.c.props[name])
	}
	slices.SortStableFunc(l.c.warnings, func(a, b Warning) int {
		if a.Source.Kind != b.Source.Kind {
			return int(a.Source.Kind - b.Source.Kind)
		}
		return a.Source.Line - b.Source.Line
	})
}

// noteProperty warns of one property, unless it is honoured, silent or none of ZooKeeper's.
func (l *loader) noteProperty(name string, set Setting) {
	src := set.Source
	short, ofZooKeeper := strings.CutPrefix(name, "zookeeper.")
	d := find(short)
	switch {
	case ofZooKeeper && isFamily(short), d == nil && !ofZooKeeper && !isOurs(name):
		return
	case d == nil:
		message := "unknown: nothing reads it"
		if near := nearest(short); near != "" {
			message = "unknown; did you mean " + near + "?"
		}
		l.warn(src, short, message)
	case d.alias == name:
	case d.scope == inFile && d.value != nil:
		l.warn(src, name, "has no effect: ZooKeeper reads "+short+" from zoo.cfg only")
	case d.scope == bare && ofZooKeeper:
		l.warn(src, short, "has no effect: ZooKeeper reads the property "+short+", which zoo.cfg cannot set; pass -D"+short+"=… or put it in SERVER_JVMFLAGS")
	case (d.scope == asProperty || d.scope == inBoth) && !ofZooKeeper:
		if d.value != nil {
			l.warn(src, name, "has no effect: the property's name is zookeeper."+name)
		}
	case d.warns(set.Value):
		l.warn(src, short, d.note)
	}
}

// warns says whether a value of the key is answered with a warning.
func (d *keyDef) warns(text string) bool {
	return d.value == nil && !d.silent && (d.same == "" || !strings.EqualFold(text, d.same))
}

// isOurs says whether a name is in zebu's own name spaces.
func isOurs(name string) bool {
	return strings.HasPrefix(name, "zebu.") || strings.HasPrefix(name, "etcd.")
}

// nearest returns the known key most like name, "" if none is like it.
func nearest(name string) string {
	best, distance := "", 1+len(name)/4
	for _, known := range sortedKeys(index) {
		if strings.HasSuffix(known, ".") {
			continue
		}
		if d := editDistance(strings.ToLower(name), strings.ToLower(known)); d < distance {
			best, distance = known, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions and replacements between two words.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
