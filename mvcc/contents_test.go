package mvcc

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// TestContents takes a state apart and puts it together again.
func TestContents(t *testing.T) {
	image, s := sampleImage(t)
	from, to := &Memory{}, &Memory{}
	if _, err := ReadImage(bytes.NewReader(image), func(b *Batch) error { from.Commit(b); return nil }); err != nil {
		t.Fatal(err)
	}
	// What is left of a batch that was cut off is none of the state's.
	cut := Revision{Main: s.Revision() + 1}
	from.Commit(&Batch{Ops: []Op{{Key: appendChangeKey(nil, cut, false)}, {Key: authKey("u"), Value: []byte("v")}}})
	filler := NewFiller(func(b *Batch) error { to.Commit(b); return nil })
	meta, err := ReadContents(from.View(), filler)
	if err != nil || meta != s.meta {
		t.Fatal(meta, err)
	}
	if found, _ := to.View().Get(MetaKey(), func([]byte) error { return nil }); found {
		t.Error("a state before the end")
	}
	if err := filler.Finish(meta); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := WriteImage(&got, to.View()); err != nil {
		t.Fatal(err)
	}
	from.Commit(&Batch{Ops: []Op{{Key: appendChangeKey(nil, cut, false), Delete: true}}})
	var want bytes.Buffer
	if err := WriteImage(&want, from.View()); err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("it is another state", err)
	}
}

func TestContentsDamaged(t *testing.T) {
	for _, key := range []string{"k1", "l1", "a1", "z"} {
		m := &Memory{}
		m.Commit(&Batch{Ops: []Op{{Key: []byte(key)}}})
		if _, err := ReadContents(m.View(), NewFiller(func(*Batch) error { return nil })); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", key, err)
		}
	}
	f := NewFiller(func(*Batch) error { return nil })
	if err := f.Change([]byte("short"), nil); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if err := f.Finish(Meta{}); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// TestFillerInBatches checks that no batch becomes large, and that errors come back.
func TestFillerInBatches(t *testing.T) {
	batches, failed := 0, fmt.Errorf("no space")
	f := NewFiller(func(b *Batch) error {
		if batches++; batches == 3 {
			return failed
		}
		return nil
	})
	value := make([]byte, 600<<10)
	var err error
	for i := range int64(6) {
		if err = f.Change(appendChangeKey(nil, Revision{Main: 2 + i}, false)[1:], value); err != nil {
			break
		}
	}
	if !errors.Is(err, failed) || batches != 3 {
		t.Error(batches, err)
	}
}
