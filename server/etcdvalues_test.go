package server

import (
	"encoding/binary"
	"testing"
)

func changeKey(revision, sub uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{changeKeyLetter}, revision)
	return binary.BigEndian.AppendUint64(append(b, '_'), sub)
}

// TestRecentValues holds that a value is kept when it is asked for again, that what shares its place does not answer for it, and
// that large values and what is no change are left alone.
func TestRecentValues(t *testing.T) {
	var r recentValues
	read := func(key []byte, value string) (found bool) {
		t.Helper()
		slot, number := r.slot(key)
		if slot == nil {
			return false
		}
		held, found := slot.get(key)
		if found && string(held) != value {
			t.Fatalf("%x: %q is held, want %q", key, held, value)
		}
		if !found {
			slot.offer(number, key, []byte(value))
		}
		return found
	}
	const other = 7 + recentSlots
	for i, c := range []struct {
		key   []byte
		value string
		found bool
	}{
		{changeKey(7, 0), "a", false},
		{changeKey(7, 0), "a", false},
		{changeKey(7, 0), "a", true},
		{changeKey(other, 0), "b", false},
		{changeKey(7, 0), "a", true}, // who comes by once does not displace it
		{changeKey(other, 0), "b", false},
		{changeKey(other, 0), "b", true},
		{changeKey(7, 0), "a", false},
		{changeKey(7, 1), "c", false},
		{changeKey(9, 0), string(make([]byte, recentBytes+1)), false},
		{changeKey(9, 0), string(make([]byte, recentBytes+1)), false},
		{changeKey(9, 0), string(make([]byte, recentBytes+1)), false},
		{[]byte("z"), "meta", false},
		{append(changeKey(7, 0), 't'), "", false},
	} {
		if found := read(c.key, c.value); found != c.found {
			t.Fatalf("step %d, %x: found %v, want %v", i, c.key, found, c.found)
		}
	}
}
