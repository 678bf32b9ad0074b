package server

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"zebu/proto"
)

// TestMasters gives every voter but the leader its turn, and the leader only when none of them will do.
func TestMasters(t *testing.T) {
	var p masters
	voters := []proto.ServerID{1, 2, 3}
	var got []proto.ServerID
	for range 6 {
		got = append(got, p.pick(voters, 2))
	}
	if got[2] != 2 || got[5] != 2 || !slices.Equal(slices.Sorted(slices.Values(got[:2])), []proto.ServerID{1, 3}) || got[0] != got[3] || got[1] != got[4] {
		t.Errorf("in vain: %v", got)
	}
	got = nil
	for range 6 {
		got = append(got, p.pick(voters, 2))
		p.reached()
	}
	if slices.Contains(got, 2) || got[0] == got[1] || got[1] == got[2] {
		t.Errorf("one after the other: %v", got)
	}
	if id := p.pick([]proto.ServerID{2}, 2); id != 2 || p.id != 2 {
		t.Errorf("nobody else: %d", id)
	}
}

// TestOracleFile reads what an oracle says.
func TestOracleFile(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]bool{"1": true, "1\n": true, "10": true, "0": false, "": false, " 1": false} {
		path := filepath.Join(dir, "oracle")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := oracleGrants(path); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	if oracleGrants(dir) || oracleGrants(dir+"/none") {
		t.Error("what cannot be read grants it")
	}
}
