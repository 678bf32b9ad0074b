package session

import (
	"encoding/hex"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"zebu/proto"
)

func TestPassword(t *testing.T) {
	for id, want := range map[proto.SessionID]string{
		0x1:               "054cc74a37327db215e702e20c73f005",
		0x100000000000000: "f22acd4a97e69d6d20a49bb638eadb38",
		0x100000dd2090000: "1dfb8e09e62acef8c3b35bd29f04f35b",
	} {
		p := Password(id)
		if got := hex.EncodeToString(p[:]); got != want {
			t.Errorf("Password(%v) = %s, want %s", id, got, want)
		}
		if !CheckPassword(id, p[:]) || CheckPassword(id+1, p[:]) || CheckPassword(id, p[:15]) || CheckPassword(id, nil) {
			t.Errorf("CheckPassword(%v) takes another password than %s", id, want)
		}
	}
}

func TestIDs(t *testing.T) {
	for _, tt := range []struct {
		server   proto.ServerID
		now      proto.Millis
		extended bool
		first    proto.SessionID
		ok       bool
	}{
		{1, 0xdd209, false, 0x100000dd2090000, true},
		{1, 0x19a2b3c4d5e, false, 0x19a2b3c4d5e0000, true}, // 41 bits of time: the highest is lost
		{0, 1, false, 0x10000, true},
		{0, 0, false, 1, true},                          // 0 asks for a new session
		{128, 0, false, proto.ContainerOwner + 1, true}, // the owner of containers
		{254, 0, true, -2 << 56, true},
		{255, 0, true, 0, false},
		{255, 0, false, -1 << 56, true},
		{256, 0, false, 0, false},
		{-1, 0, false, 0, false},
	} {
		ids, err := NewIDs(tt.server, tt.now, tt.extended)
		if (err == nil) != tt.ok {
			t.Errorf("NewIDs(%d, extended %v): %v", tt.server, tt.extended, err)
		}
		if err != nil {
			continue
		}
		if got := ids.Next(); got != tt.first {
			t.Errorf("server %d at %#x: first id %v, want %v", tt.server, tt.now, got, tt.first)
		}
		if got := ids.Next(); got != tt.first+1 {
			t.Errorf("server %d: second id %v", tt.server, got)
		}
	}
}

func TestNegotiate(t *testing.T) {
	for requested, want := range map[int32]int32{-1: 4000, 0: 4000, 4000: 4000, 9999: 9999, 40000: 40000, 1 << 30: 40000} {
		if got := Negotiate(requested, 4000, 40000); got != want {
			t.Errorf("Negotiate(%d) = %d, want %d", requested, got, want)
		}
	}
}

func TestTableAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var tab Table
	m := map[proto.SessionID]int32{}
	for range 20000 {
		id, timeout := proto.SessionID(rng.IntN(300)), rng.Int32()
		_, known := m[id]
		if rng.IntN(2) == 0 {
			if tab.Add(id, timeout) == known {
				t.Fatalf("Add(%v) of a session known: %v", id, known)
			}
			m[id] = timeout
		} else {
			if tab.Remove(id) != known {
				t.Fatalf("Remove(%v) of a session known: %v", id, known)
			}
			delete(m, id)
		}
		want, known := m[id]
		if got, ok := tab.Timeout(id); got != want || ok != known {
			t.Fatalf("Timeout(%v) = %d, %v", id, got, ok)
		}
	}
	if tab.Len() != len(m) || !maps.Equal(maps.Collect(tab.All), m) {
		t.Error("table differs from what was put in")
	}
	image := tab.Copy(nil)
	for id := range m {
		tab.Remove(id)
	}
	wrong := func(e Entry) bool { return m[e.ID] != e.Timeout }
	if len(image) != len(m) || slices.ContainsFunc(image, wrong) || tab.Len() != 0 {
		t.Error("the copy must outlive the table's changes")
	}
	for range tab.All {
		t.Error("an empty table yields")
	}
}

// BenchmarkCopy is what the state lock is held for when a snapshot of 100,000 sessions begins.
func BenchmarkCopy(b *testing.B) {
	var tab Table
	for i := range proto.SessionID(100000) {
		tab.Add(i, 30000)
	}
	var dst []Entry
	for b.Loop() {
		dst = tab.Copy(dst[:0])
	}
}
