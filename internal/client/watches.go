package client

import (
	"maps"
	"slices"

	"zebu/proto"
)

// watches are the session's own record of what it watches, by the server's paths: what a new connection registers again.
// kinds is indexed by kind.
type watches struct {
	kinds [5]map[string]bool
}

// kind is one of the lists of setWatches2 (spec 4.3).
type kind int

const (
	dataWatch kind = iota
	existWatch
	childWatch
	persistentWatch
	recursiveWatch
)

func (w *watches) add(k kind, path string) {
	if w.kinds[k] == nil {
		w.kinds[k] = map[string]bool{}
	}
	w.kinds[k][path] = true
}

// fired forgets the one-shot watches that e used up (spec 4.2).
func (w *watches) fired(e proto.WatcherEvent) {
	switch e.Type {
	case proto.EventNodeCreated, proto.EventNodeDataChanged:
		delete(w.kinds[dataWatch], e.Path)
		delete(w.kinds[existWatch], e.Path)
	case proto.EventNodeDeleted:
		delete(w.kinds[dataWatch], e.Path)
		delete(w.kinds[existWatch], e.Path)
		delete(w.kinds[childWatch], e.Path)
	case proto.EventNodeChildrenChanged:
		delete(w.kinds[childWatch], e.Path)
	}
}

// of lists the kinds that a type of watcher stands for in removeWatches.
func of(t proto.WatcherType) []kind {
	switch t {
	case proto.WatcherChildren:
		return []kind{childWatch}
	case proto.WatcherData:
		return []kind{dataWatch, existWatch}
	case proto.WatcherPersistent:
		return []kind{persistentWatch}
	case proto.WatcherPersistentRecursive:
		return []kind{recursiveWatch}
	}
	return []kind{dataWatch, existWatch, childWatch, persistentWatch, recursiveWatch}
}

// has says whether there is a watch of a type at path.
func (w *watches) has(t proto.WatcherType, path string) bool {
	return slices.ContainsFunc(of(t), func(k kind) bool { return w.kinds[k][path] })
}

// remove forgets the watches of a type at path, and returns the events that tell of it.
func (w *watches) remove(t proto.WatcherType, path string) []proto.EventType {
	var told []proto.EventType
	for _, k := range of(t) {
		if !w.kinds[k][path] {
			continue
		}
		delete(w.kinds[k], path)
		e := PersistentWatchRemoved
		switch k {
		case dataWatch, existWatch:
			e = DataWatchRemoved
		case childWatch:
			e = ChildWatchRemoved
		}
		if !slices.Contains(told, e) {
			told = append(told, e)
		}
	}
	return told
}

// batch is how many bytes of paths one setWatches carries, so that its frame stays far below jute.maxbuffer.
const batch = 128 << 10

// again encodes the requests that register everything anew, for changes since zxid last.
func (w *watches) again(last proto.Zxid) []byte {
	var out []byte
	var lists [5][]string
	size, any := 0, false
	flush := func() {
		if !any {
			return
		}
		for k := range lists {
			if lists[k] == nil {
				lists[k] = []string{}
			}
		}
		if len(lists[persistentWatch])+len(lists[recursiveWatch]) == 0 {
			r := proto.SetWatches{RelativeZxid: last, DataWatches: lists[0], ExistWatches: lists[1], ChildWatches: lists[2]}
			out = append(out, packet(proto.XidSetWatches, proto.OpSetWatches, r.Append(nil))...)
		} else {
			r := proto.SetWatches2{
				RelativeZxid: last, DataWatches: lists[0], ExistWatches: lists[1], ChildWatches: lists[2],
				PersistentWatches: lists[3], PersistentRecursiveWatches: lists[4],
			}
			out = append(out, packet(proto.XidSetWatches, proto.OpSetWatches2, r.Append(nil))...)
		}
		lists, size, any = [5][]string{}, 0, false
	}
	for k := range w.kinds {
		for _, p := range slices.Sorted(maps.Keys(w.kinds[k])) {
			if size += len(p) + 4; size > batch {
				flush()
				size = len(p) + 4
			}
			lists[k], any = append(lists[k], p), true
		}
	}
	flush()
	return out
}
