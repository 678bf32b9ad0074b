package replica

import (
	"fmt"
	"testing"

	"zebu/proto"
)

// batchLog is a log batch that keeps one buffer, as storage's does.
type batchLog struct {
	buf  []byte
	ends []int
}

func (l *batchLog) Begin() []byte { return l.buf }
func (l *batchLog) End(buf []byte, _ proto.Zxid) {
	l.buf = buf
	l.ends = append(l.ends, len(buf))
}

func benchReplica(b *testing.B) (*Replica, *Conn, *batchLog) {
	b.Helper()
	r := New(Options{ServerID: 1, Tick: 1000, MinSessionTimeout: 2000, MaxSessionTimeout: 20000})
	r.Advance(Clock{Mono: 1, Wall: 1_700_000_000_000})
	if err := r.Lead(); err != nil {
		b.Fatal(err)
	}
	log := &batchLog{}
	r.LendLog(log)
	c := &Conn{Handle: "a", IDs: []proto.ID{{Scheme: "ip", ID: "127.0.0.1"}}}
	r.Connect(c, &proto.ConnectRequest{Timeout: 4000}, 0)
	commitBatch(b, r, log, nil)
	return r, c, log
}

func commitBatch(b *testing.B, r *Replica, log *batchLog, out []byte) []byte {
	r.LendBuffer(out[:0])
	start := 0
	for _, end := range log.ends {
		if err := r.Apply(log.buf[start:end]); err != nil {
			b.Fatal(err)
		}
		start = end
	}
	log.buf, log.ends = log.buf[:0], log.ends[:0]
	_, out = r.Outputs()
	r.TakeFired()
	return out
}

// benchWrites plans and applies in batches of 64, as a busy server does.
func benchWrites(b *testing.B, r *Replica, c *Conn, log *batchLog, op proto.OpCode, body func(i int, dst []byte) []byte) {
	var out, buf []byte
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		buf = body(i, buf[:0])
		r.Submit(c, &Request{Xid: int32(i), Op: op, Body: buf, IDs: c.IDs})
		if i%64 == 63 {
			out = commitBatch(b, r, log, out)
		}
	}
}

var benchACL = []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}}

func BenchmarkCreate(b *testing.B) {
	r, c, log := benchReplica(b)
	data := make([]byte, 100)
	benchWrites(b, r, c, log, proto.OpCreate, func(i int, dst []byte) []byte {
		req := proto.CreateRequest{Path: fmt.Sprintf("/node-%09d", i), Data: data, ACL: benchACL}
		return req.Append(dst)
	})
}

func BenchmarkSetData(b *testing.B) {
	r, c, log := benchReplica(b)
	data := make([]byte, 100)
	body := (&proto.CreateRequest{Path: "/n", Data: data, ACL: benchACL}).Append(nil)
	r.Submit(c, &Request{Op: proto.OpCreate, Body: body})
	commitBatch(b, r, log, nil)
	benchWrites(b, r, c, log, proto.OpSetData, func(_ int, dst []byte) []byte {
		req := proto.SetDataRequest{Path: "/n", Data: data, Version: -1}
		return req.Append(dst)
	})
}

func BenchmarkGetData(b *testing.B) {
	r, c, log := benchReplica(b)
	body := (&proto.CreateRequest{Path: "/n", Data: make([]byte, 100), ACL: benchACL}).Append(nil)
	r.Submit(c, &Request{Op: proto.OpCreate, Body: body})
	commitBatch(b, r, log, nil)
	get := Request{Op: proto.OpGetData, Body: (&proto.PathWatchRequest{Path: "/n"}).Append(nil)}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		var fx Effect
		if out, fx = r.Read(c, &get, out[:0]); fx.Err != proto.OK {
			b.Fatal(fx.Err)
		}
	}
}
