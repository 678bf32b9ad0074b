package storage

import (
	"testing"

	"zebu/internal/vfs"
	"zebu/proto"
)

// A leader may apply what a quorum has logged before its own disk has, write a snapshot of that, and crash: its log goes on behind the
// snapshot and lacks a transaction, also the first one of an epoch. Nobody must be synchronised across the hole.
func TestSpanAcrossAHole(t *testing.T) {
	opt := DefaultOptions("/data")
	opt.FS = vfs.NewCrashing(func(int) int { return 0 })
	opt.PreallocBytes = 0
	s, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.log.reset(0); err != nil {
		t.Fatal(err)
	}
	add := func(z proto.Zxid) {
		t.Helper()
		var b Batch
		h := proto.TxnHeader{Zxid: z, Type: proto.OpError}
		b.Add(z, proto.AppendInt32(h.Append(nil), -1))
		if err := s.log.Append(&b); err != nil {
			t.Fatal(err)
		}
	}
	last, first, second := proto.MakeZxid(1, 1), proto.MakeZxid(2, 1), proto.MakeZxid(2, 2)
	add(last)
	if err := s.log.reset(first); err != nil { // what Restore does with a snapshot
		t.Fatal(err)
	}
	add(second)
	span, err := s.SpanAround(first, second, 1<<20)
	if err != nil || span.Next != 0 || span.Prev != last {
		t.Errorf("%+v, %v", span, err)
	}
}
