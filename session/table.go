package session

import "zebu/proto"

// Entry is one committed session: its id and its negotiated timeout in milliseconds.
type Entry struct {
	ID      proto.SessionID
	Timeout int32
}

// Table is the set of committed sessions, as the transactions up to some zxid say; it belongs to the replicated state
// and goes into snapshots. Entries lie in one dense slice, so that a snapshot copies them with a single memmove. The
// zero Table is empty and ready for use.
type Table struct {
	entries []Entry
	index   map[proto.SessionID]uint32 // position in entries
}

// Add puts a session in, or replaces the timeout of one that is there. It reports whether the session is new.
func (t *Table) Add(id proto.SessionID, timeout int32) bool {
	if i, ok := t.index[id]; ok {
		t.entries[i].Timeout = timeout
		return false
	}
	if t.index == nil {
		t.index = make(map[proto.SessionID]uint32)
	}
	t.index[id] = uint32(len(t.entries))
	t.entries = append(t.entries, Entry{id, timeout})
	return true
}

// Remove takes a session out and reports whether it was there. The last entry takes its place.
func (t *Table) Remove(id proto.SessionID) bool {
	i, ok := t.index[id]
	if !ok {
		return false
	}
	delete(t.index, id)
	last := len(t.entries) - 1
	if int(i) != last {
		t.entries[i] = t.entries[last]
		t.index[t.entries[i].ID] = i
	}
	t.entries = t.entries[:last]
	return true
}

// Timeout returns a session's negotiated timeout in milliseconds, and whether the session exists.
func (t *Table) Timeout(id proto.SessionID) (int32, bool) {
	i, ok := t.index[id]
	if !ok {
		return 0, false
	}
	return t.entries[i].Timeout, true
}

// Len returns the number of sessions.
func (t *Table) Len() int { return len(t.entries) }

// Copy appends all entries to dst: the image of the table that a snapshot writes while the table moves on. The order
// depends on nothing but the sequence of calls to Add and Remove.
func (t *Table) Copy(dst []Entry) []Entry { return append(dst, t.entries...) }

// All calls yield for every session, in the order of [Table.Copy], until it returns false. The table must not change
// meanwhile.
func (t *Table) All(yield func(id proto.SessionID, timeout int32) bool) {
	for _, e := range t.entries {
		if !yield(e.ID, e.Timeout) {
			return
		}
	}
}
