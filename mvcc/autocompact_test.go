package mvcc

import (
	"testing"

	"zebu/proto"
)

const minute proto.Millis = 60 * 1000

// drive calls Tick whenever it wants, while the revision grows by one a minute, and lists minute and revision of each compaction.
// Those in the minutes lost do not take place.
func drive(a *AutoCompact, minutes proto.Millis, lost proto.Millis) (list [][2]int64) {
	compacted := int64(-1)
	for a.Next() <= minutes*minute {
		now := a.Next()
		if rev := a.Tick(now, 1+int64(now/minute), compacted); rev != 0 {
			list = append(list, [2]int64{int64(now / minute), rev})
			if now > lost*minute {
				compacted = rev
			}
		}
	}
	return list
}

func TestAutoCompact(t *testing.T) {
	for name, c := range map[string]struct {
		a       *AutoCompact
		minutes proto.Millis
		lost    proto.Millis
		want    [][2]int64
	}{
		"an hour":          {CompactByTime(0, 60*minute), 200, 0, [][2]int64{{60, 1}, {120, 61}, {180, 121}}},
		"two hours":        {CompactByTime(0, 120*minute), 250, 0, [][2]int64{{120, 1}, {180, 61}, {240, 121}}},
		"ten minutes":      {CompactByTime(0, 10*minute), 31, 0, [][2]int64{{10, 1}, {20, 11}, {30, 21}}},
		"lost":             {CompactByTime(0, 10*minute), 25, 12, [][2]int64{{10, 1}, {11, 2}, {12, 3}, {13, 4}, {23, 14}}},
		"by revision":      {CompactByRevision(0, 7), 20, 0, [][2]int64{{10, 4}, {15, 9}, {20, 14}}},
		"by revision, all": {CompactByRevision(0, 1000), 20, 0, nil},
	} {
		got := drive(c.a, c.minutes, c.lost)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", name, got, c.want)
				break
			}
		}
	}
}

// TestAutoCompactIdle does not compact again where nothing changed.
func TestAutoCompactIdle(t *testing.T) {
	a := CompactByTime(0, 10*minute)
	compacted, n := int64(-1), 0
	for a.Next() <= 500*minute {
		if rev := a.Tick(a.Next(), 5, compacted); rev != 0 {
			compacted = rev
			n++
		}
	}
	if n != 1 || compacted != 5 {
		t.Errorf("%d compactions, at %d", n, compacted)
	}
}
