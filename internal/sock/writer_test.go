//go:build unix

package sock

import (
	"bytes"
	"io"
	"net"
	"testing"
)

func TestWriter(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()

	w := NewWriter(near)
	part := bytes.Repeat([]byte("x"), 1<<20)
	sent := 0
	for { // until nothing more fits
		n, err := w.Try(part)
		if err != nil {
			t.Fatal(err)
		}
		if sent += n; n == 0 {
			break
		}
	}
	if sent == 0 {
		t.Fatal("nothing was written")
	}
	if _, err := io.ReadFull(far, make([]byte, sent)); err != nil {
		t.Fatalf("%d bytes were said to be written: %v", sent, err)
	}
	near.Close()
	if _, err := w.Try(part); err == nil {
		t.Error("no error of a connection that is closed")
	}
	if NewWriter(struct{ net.Conn }{far}) != nil {
		t.Error("a writer for what is not plain TCP")
	}
}
