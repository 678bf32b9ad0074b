package proto

import (
	"bytes"
	"reflect"
	"testing"
)

// FuzzDecode decodes hostile bytes as the record that kind selects. What decodes must encode to something that decodes
// to the same; a record used before must give the same as a fresh one; and no input may claim much more memory than it
// has bytes.
func FuzzDecode(f *testing.F) {
	for kind, r := range records {
		for _, line := range golden(f) {
			if reflect.TypeOf(recordOf(f, line[0])) == reflect.TypeOf(r.record) {
				f.Add(byte(kind), []byte(line[2]))
			}
		}
		f.Add(byte(kind), bytes.Repeat([]byte{0x7f, 0xff, 0xff, 0xff}, 4))
	}
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		r := newRecord(records[int(kind)%len(records)].record)
		used := newRecord(r)
		(&filler{variant: "full"}).record(reflect.ValueOf(used).Elem())
		d, again := NewDecoder(b), NewDecoder(b)
		r.Decode(&d)
		used.Decode(&again)
		if n := held(reflect.ValueOf(r).Elem()); n > 4*len(b) {
			t.Errorf("%T: %d bytes of slices from %d bytes of input", r, n, len(b))
		}
		if d.Err() != again.Err() || d.Err() == nil && !reflect.DeepEqual(r, used) {
			t.Errorf("%T: a used record decodes to %+v, %v, a fresh one to %+v, %v", r, used, again.Err(), r, d.Err())
		}
		if d.Err() != nil {
			return
		}
		encoded := r.Append(nil)
		if len(encoded) > len(b) {
			t.Errorf("%T: %d bytes from %d", r, len(encoded), len(b))
		}
		r2, d2 := newRecord(r), NewDecoder(encoded)
		if r2.Decode(&d2); d2.Err() != nil || d2.Remaining() != 0 || !reflect.DeepEqual(r, r2) {
			t.Errorf("%T: %+v became %+v, %v", r, r, r2, d2.Err())
		}
	})
}

// held returns how many bytes the slices of vectors in a record take. Buffers and strings alias the input.
func held(v reflect.Value) int {
	n := 0
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.Struct:
			n += held(f)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() != reflect.Uint8:
			n += f.Cap() * int(f.Type().Elem().Size())
			for j := 0; f.Type().Elem().Kind() == reflect.Struct && j < f.Len(); j++ {
				n += held(f.Index(j))
			}
		}
	}
	return n
}
