package proto

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
)

// TestPacketData holds the encodings to bytes as Apache ZooKeeper 3.9's DataOutputStream writes them (LearnerHandler,
// Learner).
func TestPacketData(t *testing.T) {
	req := ForwardedRequest{Session: 0x0100_0000_0000_0007, Cxid: 5, Op: OpCreate, Body: []byte{0xab}}
	rev := Revalidation{Session: 9, Valid: true}
	li := LearnerInfo{ServerID: 2, ProtocolVersion: QuorumProtocolVersion, ConfigVersion: 0x100000003}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"request", req.Append(nil), "01000000000000070000000500000001ab"},
		{"revalidation", rev.Append(nil), "000000000000000901"},
		{"touches", AppendTouches(nil, Touch{1, 4000}, Touch{2, 6000}), "000000000000000100000fa0000000000000000200001770"},
		{"learner info", li.Append(nil), "0000000000000002000100000000000100000003"},
		{"commit and activate", AppendActivation(nil, 3, nil), "0000000000000003"},
		{"inform and activate", AppendActivation(nil, 3, []byte{1, 2}), "00000000000000030102"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestAsk has questions with and without a text.
func TestAsk(t *testing.T) {
	for _, a := range []Ask{{Kind: 2, ID: 7, Value: -1}, {Kind: 7, ID: 8, Text: "1 http://h:2379\n"}} {
		data := a.Append(nil)
		if got, err := DecodeAsk(data); err != nil || got != a {
			t.Errorf("%v, %v, not %v", got, err, a)
		}
		if _, err := DecodeAsk(data[:len(data)-1]); err == nil {
			t.Errorf("%v is read though its end is missing", a)
		}
	}
}

// TestLearnerInfoForms reads what ZooKeeper 3.3, 3.4 and 3.5 send.
func TestLearnerInfoForms(t *testing.T) {
	full := LearnerInfo{ServerID: 2, ProtocolVersion: QuorumProtocolVersion, ConfigVersion: 7}
	b := full.Append(nil)
	for size, want := range map[int]LearnerInfo{
		8:  {ServerID: 2},
		12: {ServerID: 2, ProtocolVersion: QuorumProtocolVersion},
		20: full,
	} {
		if got, err := DecodeLearnerInfo(b[:size]); err != nil || got != want {
			t.Errorf("%d bytes: %+v, %v", size, got, err)
		}
	}
	if _, err := DecodeLearnerInfo(b[:7]); err == nil {
		t.Error("7 bytes are no learner info")
	}
}

func TestPacketTypeNames(t *testing.T) {
	for p := PacketRequest; p <= lastPacketType; p++ {
		if p.String() == "" {
			t.Errorf("type %d has no name", int32(p))
		}
	}
	if got := PacketType(-5).String() + PacketType(20).String(); got != "packet(-5)packet(20)" {
		t.Error(got)
	}
}

// FuzzPacketData decodes hostile data as everything that it could be; what decodes must encode to the same bytes.
func FuzzPacketData(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{1}, 8))
	f.Add(bytes.Repeat([]byte{0xff}, 9))
	f.Add(bytes.Repeat([]byte{1}, 16))
	f.Add(bytes.Repeat([]byte{1}, 24))
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, encoded []byte, err error) {
			if err == nil && !bytes.Equal(encoded, b[:min(len(b), len(encoded))]) {
				t.Errorf("%s: %x became %x", what, b, encoded)
			}
		}
		li, err := DecodeLearnerInfo(b)
		if err == nil && len(b) >= 20 {
			same("learner info", li.Append(nil), err)
		}
		touches, err := DecodeTouches(nil, b)
		same("touches", AppendTouches(nil, touches...), err)
		if err == nil && len(touches)*12 != len(b) {
			t.Errorf("%d touches in %d bytes", len(touches), len(b))
		}
		req, err := DecodeForwardedRequest(b)
		same("request", req.Append(nil), err)
		leader, txn, err := DecodeActivation(b)
		same("activation", AppendActivation(nil, leader, txn), err)
		if rev, err := DecodeRevalidation(b); err == nil {
			again, err := DecodeRevalidation(rev.Append(nil))
			if err != nil || !reflect.DeepEqual(rev, again) {
				t.Errorf("revalidation: %+v became %+v, %v", rev, again, err)
			}
		}
		if n, err := DecodeInt32(b); err == nil {
			same("number", AppendInt32(nil, n), err)
		}
	})
}
