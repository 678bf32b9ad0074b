package transport

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"zebu/proto"
)

// all reads packets until the stream ends.
func all(r io.Reader, limit int) ([]proto.QuorumPacket, error) {
	p := packetReader{r: r, max: limit}
	var got []proto.QuorumPacket
	for {
		batch, err := p.next()
		got = append(got, batch...)
		if err != nil {
			return got, err
		}
	}
}

func encode(packets ...proto.QuorumPacket) []byte {
	var b []byte
	for i := range packets {
		b = packets[i].Append(b)
	}
	return b
}

var samples = []proto.QuorumPacket{
	{Type: proto.PacketFollowerInfo, Zxid: 1 << 32, Data: make([]byte, 20)},
	{Type: proto.PacketUpToDate, Zxid: -1},
	{Type: proto.PacketProposal, Zxid: 0x100000001, Data: bytes.Repeat([]byte{7}, 3*readChunk)},
	{Type: proto.PacketCommit, Zxid: 0x100000001, Data: []byte{}},
	{Type: proto.PacketRequest, Zxid: -1, Data: []byte{1}, AuthInfo: []proto.ID{{Scheme: "ip", ID: "10.0.0.1"}, {Scheme: "digest", ID: "a:b"}}},
	{Type: proto.PacketRequest, Zxid: -1, Data: []byte{1}, AuthInfo: []proto.ID{}},
}

func TestPacketsInPieces(t *testing.T) {
	b := encode(samples...)
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(b), "bytes": iotest.OneByteReader(bytes.NewReader(b)), "halves": iotest.HalfReader(bytes.NewReader(b)),
		"with the end": iotest.DataErrReader(bytes.NewReader(b)),
	} {
		got, err := all(r, DefaultMaxPacket)
		if err != io.EOF || !reflect.DeepEqual(got, samples) {
			t.Errorf("%s: %d packets, %v", name, len(got), err)
		}
	}
	for cut := 1; cut < packetHead+30; cut++ {
		if _, err := all(bytes.NewReader(b[:len(b)-cut]), DefaultMaxPacket); err != io.EOF && err != io.ErrUnexpectedEOF {
			t.Errorf("cut by %d: %v", cut, err)
		}
	}
}

// TestPacketsDoNotChange holds on to packets while many more are read.
func TestPacketsDoNotChange(t *testing.T) {
	var want []proto.QuorumPacket
	for i := range 5000 {
		want = append(want, proto.QuorumPacket{Type: proto.PacketProposal, Zxid: proto.Zxid(i), Data: bytes.Repeat([]byte{byte(i)}, i%100)})
	}
	got, err := all(iotest.HalfReader(bytes.NewReader(encode(want...))), DefaultMaxPacket)
	if err != io.EOF || !reflect.DeepEqual(got, want) {
		t.Errorf("%d packets, %v", len(got), err)
	}
}

func TestHostilePackets(t *testing.T) {
	good := encode(samples[0])
	bad := func(at int, b ...byte) []byte {
		c := bytes.Clone(good)
		copy(c[at:], b)
		return c
	}
	idCount := len(good) - 4
	for name, b := range map[string][]byte{
		"another protocol":   []byte("GET / HTTP/1.1\r\n\r\n"),
		"type 0":             bad(0, 0, 0, 0, 0),
		"type 20":            bad(0, 0, 0, 0, 20),
		"data of -2 bytes":   bad(12, 0xff, 0xff, 0xff, 0xfe),
		"data of 2 GB":       bad(12, 0x7f, 0xff, 0xff, 0xff),
		"data of limit":      bad(12, 0, 0, 1, 0),
		"-2 identities":      bad(idCount, 0xff, 0xff, 0xff, 0xfe),
		"2^31 identities":    bad(idCount, 0x7f, 0xff, 0xff, 0xff),
		"too many":           append(bad(idCount, 0, 0, 0x10, 1), make([]byte, 1<<16)...),
		"scheme of -2 bytes": append(bad(idCount, 0, 0, 0, 1), 0xff, 0xff, 0xff, 0xfe),
		"scheme of 2 GB":     append(bad(idCount, 0, 0, 0, 1), 0x7f, 0xff, 0xff, 0xff),
	} {
		got, err := all(iotest.OneByteReader(bytes.NewReader(b)), 256)
		if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF || len(got) > 0 {
			t.Errorf("%s: %d packets, %v", name, len(got), err)
		}
	}
	// What comes before it counts.
	if got, err := all(bytes.NewReader(append(good, "GET /index.html HTTP/1.1"...)), 256); len(got) != 1 || err == io.EOF {
		t.Errorf("%d packets, %v", len(got), err)
	}
}

// FuzzPackets reads hostile streams: in whatever pieces they come, the packets are the same, and encode to what
// was read.
func FuzzPackets(f *testing.F) {
	f.Add(encode(samples[0], samples[1], samples[3], samples[4], samples[5]))
	f.Add(encode(samples[4])[:30])
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 16
		whole, err := all(bytes.NewReader(b), limit)
		pieces, err2 := all(iotest.OneByteReader(bytes.NewReader(b)), limit)
		if !reflect.DeepEqual(whole, pieces) || err.Error() != err2.Error() {
			t.Errorf("%d packets, %v; in pieces %d, %v", len(whole), err, len(pieces), err2)
		}
		again, err := all(bytes.NewReader(encode(whole...)), limit)
		if len(whole) != len(again) || !errors.Is(err, io.EOF) {
			t.Errorf("%d packets became %d, %v", len(whole), len(again), err)
		}
	})
}
