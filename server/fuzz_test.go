package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"zebu/conf"
	"zebu/proto"
)

// FuzzConnection sends any bytes after a handshake. The first n of them for each n in lens go as a frame, the rest as it
// is: nothing may crash the server or keep it from ending the connection.
func FuzzConnection(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add([]byte{}, []byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{}, []byte{0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3})
	for _, op := range slices.Sorted(maps.Keys(everyOp)) {
		frame := request(1, op, everyOp[op])
		f.Add([]byte{byte(len(frame))}, frame)
		write := request(1, proto.OpCreate, createReq("/x", 0))
		f.Add([]byte{byte(len(write)), byte(len(frame)), byte(len(frame))}, slices.Concat(write, frame, frame))
	}
	for _, body := range [][]byte{
		request(proto.XidAuth, proto.OpAuth, &proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")}),
		request(1, proto.OpSASL, &proto.TokenRecord{Token: []byte("username=\"bob\"")}),
		fullMulti("/x", 2), request(1, proto.OpCloseSession, nil),
	} {
		f.Add([]byte{byte(len(body))}, body)
	}
	c := conf.Default()
	c.DataDir = f.TempDir()
	c.DataLogDir = c.DataDir
	c.Client.Addr = conf.Address("127.0.0.1", 0)
	c.Limits.MaxClientCnxns, c.Log.ForceSync, c.Audit = 0, false, true
	c.Tree.ExtendedTypes = true
	s, err := New(Options{Config: c, Log: zap.NewNop()})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	var empty bytes.Buffer
	if _, err := s.WriteSnapshot(&empty); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, lens, in []byte) {
		if len(in) > 1<<16 {
			return
		}
		sendAnything(t, s, lens, in)
		select {
		case err := <-done:
			t.Fatalf("the server has ended: %v", err)
		default:
		}
		if s.Server().NodeCount > 1000 {
			if _, err := s.RestoreSnapshot(bytes.NewReader(empty.Bytes())); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// sendAnything sends the input on a connection of its own and waits until the server has forgotten it.
func sendAnything(t *testing.T, s *Server, lens, in []byte) {
	t.Helper()
	stream := (&proto.ConnectRequest{Timeout: 10_000}).Append(nil)
	stream = append(proto.AppendInt32(nil, int32(len(stream))), stream...)
	for _, n := range lens {
		k := min(int(n), len(in))
		stream = append(proto.AppendInt32(stream, int32(k)), in[:k]...)
		in = in[k:]
	}
	stream = append(stream, in...)

	ours, theirs := net.Pipe()
	if err := ours.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	s.admit(theirs)
	drained := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, ours)
		drained <- err
	}()
	// An error says that the server has hung up, which it may.
	if _, err := ours.Write(stream); isTimeout(err) {
		t.Fatalf("the server does not read on: %v", err)
	}
	ours.Close()
	<-drained
	await(t, "the connection is forgotten", func() bool {
		s.connMu.Lock()
		defer s.connMu.Unlock()
		return len(s.conns) == 0
	})
	await(t, "nothing is in flight", func() bool { return s.inflight.Load() == 0 })
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
