package mvcc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/proto"
)

func sampleImage(t testing.TB) ([]byte, *Store) {
	t.Helper()
	mem := &Memory{}
	s, err := Open(mem, Options{})
	if err != nil {
		t.Fatal(err)
	}
	z := proto.Zxid(0)
	for _, m := range append(requests[:3:3], requests[4], requests[7], &pb.PutRequest{Key: []byte("a"), Lease: -3}) {
		b, err := NewRecord(m).Encode()
		if err != nil {
			t.Fatal(err)
		}
		z++
		if _, err := s.Apply(z, b); err != nil {
			t.Fatal(err)
		}
	}
	mem.Commit(s.Take())
	var image bytes.Buffer
	if err := WriteImage(&image, mem.View()); err != nil {
		t.Fatal(err)
	}
	return image.Bytes(), s
}

func TestImage(t *testing.T) {
	image, s := sampleImage(t)
	mem := &Memory{}
	commit := func(b *Batch) error { mem.Commit(b); return nil }
	meta, err := ReadImage(bytes.NewReader(image), commit)
	if err != nil || meta != s.meta {
		t.Fatal(meta, err)
	}
	got, err := Open(mem, Options{})
	if err != nil {
		t.Fatal(err)
	}
	h1, _ := s.HashKV(0)
	h2, err := got.HashKV(0)
	if err != nil || h1 != h2 || fmt.Sprint(s.Leases(), s.LeaseKeys(-3), s.Alarms(0)) != fmt.Sprint(got.Leases(), got.LeaseKeys(-3), got.Alarms(0)) {
		t.Errorf("%+v, %v", h2, err)
	}
	for i := range image {
		damaged := bytes.Clone(image)
		damaged[i] ^= 0x40
		if _, err := ReadImage(bytes.NewReader(damaged), func(*Batch) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		mem := &Memory{}
		if _, err := ReadImage(bytes.NewReader(image[:i]), func(b *Batch) error { mem.Commit(b); return nil }); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at %d: %v", i, err)
		}
		if found, _ := mem.View().Get(MetaKey(), func([]byte) error { return nil }); found {
			t.Errorf("cut at %d: taken for a state", i)
		}
	}
	if _, err := ReadImage(bytes.NewReader(image), func(*Batch) error { return errDisk }); !errors.Is(err, errDisk) {
		t.Error(err)
	}
}

func TestEmptyImage(t *testing.T) {
	var image bytes.Buffer
	if err := WriteImage(&image, (&Memory{}).View()); err != nil {
		t.Fatal(err)
	}
	mem := &Memory{}
	if _, err := ReadImage(&image, func(b *Batch) error { mem.Commit(b); return nil }); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(mem, Options{}); err != nil || s.Revision() != 1 {
		t.Fatal(s, err)
	}
}

// FuzzOpen reads whatever is an image, and opens what is in it.
func FuzzOpen(f *testing.F) {
	image, _ := sampleImage(f)
	f.Add(image[len(imageHead) : len(image)-6])
	f.Fuzz(func(t *testing.T, records []byte) {
		mem := &Memory{}
		_, err := ReadImage(bytes.NewReader(sealed(records)), func(b *Batch) error { mem.Commit(b); return nil })
		if err == nil {
			_, err = Open(mem, Options{})
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	})
}

// sealed makes an image of records, so that fuzzing gets past the check sum.
func sealed(records []byte) []byte {
	b := append([]byte(imageHead), records...)
	b = append(b, 0, 0)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}
