package proto

import (
	"bytes"
	"errors"
	"testing"
)

func TestDecoderLengths(t *testing.T) {
	for _, tt := range []struct {
		name  string
		input []byte
		want  []byte
		err   error
	}{
		{"null", []byte{0xff, 0xff, 0xff, 0xff}, nil, nil},
		{"empty", []byte{0, 0, 0, 0}, []byte{}, nil},
		{"three bytes", []byte{0, 0, 0, 3, 'a', 'b', 'c', 'd'}, []byte("abc"), nil},
		{"negative", []byte{0xff, 0xff, 0xff, 0xfe}, nil, ErrLength},
		{"too long", []byte{0, 0, 0, 4, 'a', 'b', 'c'}, nil, ErrShort},
		{"huge", []byte{0x7f, 0xff, 0xff, 0xff}, nil, ErrShort},
		{"no length", []byte{0, 0, 0}, nil, ErrShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDecoder(tt.input)
			got := d.Buf()
			if !bytes.Equal(got, tt.want) || (got == nil) != (tt.want == nil) || !errors.Is(d.Err(), tt.err) {
				t.Errorf("Buf = %v, %v, want %v, %v", got, d.Err(), tt.want, tt.err)
			}
			if cap(got) != len(got) {
				t.Error("appending to the buffer would overwrite what follows it")
			}
			d.Reset(tt.input)
			if s := d.Str(); s != string(tt.want) || !errors.Is(d.Err(), tt.err) {
				t.Errorf("Str = %q, %v", s, d.Err())
			}
		})
	}
}

func TestVectorLen(t *testing.T) {
	for _, tt := range []struct {
		input []byte
		size  int
		want  int
		err   error
	}{
		{[]byte{0xff, 0xff, 0xff, 0xff}, 4, -1, nil},
		{[]byte{0, 0, 0, 0}, 4, 0, nil},
		{[]byte{0, 0, 0, 1, 0, 0, 0, 0}, 4, 1, nil},
		{[]byte{0, 0, 0, 1, 0, 0, 0}, 4, -1, errVectorSize},
		{[]byte{0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 1 << 20, -1, errVectorSize},
		{[]byte{0xff, 0xff, 0xff, 0xfe}, 4, -1, ErrLength},
		{[]byte{0}, 4, -1, ErrShort},
	} {
		d := NewDecoder(tt.input)
		if got := d.VectorLen(tt.size); got != tt.want || !errors.Is(d.Err(), tt.err) {
			t.Errorf("VectorLen of %x = %d, %v, want %d, %v", tt.input, got, d.Err(), tt.want, tt.err)
		}
	}
}

// TestFirstFailureSticks makes sure that nothing is read past a failure, even if there is enough for it.
func TestFirstFailureSticks(t *testing.T) {
	d := NewDecoder([]byte{0xff, 0xff, 0xff, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	d.Buf()
	if d.Bool() || d.Byte() != 0 || d.Int32() != 0 || d.Int64() != 0 || d.Str() != "" || d.VectorLen(1) != -1 || d.Rest() != nil {
		t.Error("values after a failure")
	}
	if !errors.Is(d.Err(), ErrLength) {
		t.Errorf("error %v, want the first", d.Err())
	}
}

func TestDecoderPosition(t *testing.T) {
	d := NewDecoder(AppendBool(AppendInt32(AppendBool(nil, true), 7), false))
	if !d.Bool() || d.Offset() != 1 || d.Remaining() != 5 || len(d.Rest()) != 5 || d.Int32() != 7 || d.Byte() != 0 || d.Remaining() != 0 {
		t.Errorf("offset %d, %v", d.Offset(), d.Err())
	}
	b := AppendInt32(nil, 0)
	PutInt32(b, -2)
	d.Reset(b)
	if d.Int32() != -2 {
		t.Error("PutInt32")
	}
}

func TestZxid(t *testing.T) {
	z := MakeZxid(0x7fffffff, 0xfffffffe)
	if z.Epoch() != 0x7fffffff || z.Counter() != 0xfffffffe || z.String() != "0x7ffffffffffffffe" {
		t.Errorf("epoch %d, counter %d, %v", z.Epoch(), z.Counter(), z)
	}
	if s := SessionID(-1).String(); s != "0xffffffffffffffff" {
		t.Error(s)
	}
}

func TestCodes(t *testing.T) {
	if OK.Err() != nil || !errors.Is(ErrNoNode.Err(), ErrNoNode) || ErrNoNode.Error() != "zookeeper: NONODE" ||
		ErrCode(-99).String() != "error(-99)" {
		t.Error("error codes")
	}
	if OpCreate2.String() != "create2" || OpCode(99).String() != "op(99)" {
		t.Error("operation codes")
	}
	for m, want := range map[CreateMode][4]bool{ // valid, ephemeral, sequential, TTL
		Persistent: {true, false, false, false}, Ephemeral: {true, true, false, false},
		PersistentSequential: {true, false, true, false}, EphemeralSequential: {true, true, true, false},
		Container: {true, false, false, false}, PersistentTTL: {true, false, false, true},
		SequentialTTL: {true, false, true, true}, 7: {}, -1: {},
	} {
		if got := [4]bool{m.Valid(), m.Ephemeral(), m.Sequential(), m.TTL()}; got != want {
			t.Errorf("mode %d: %v, want %v", m, got, want)
		}
	}
}
