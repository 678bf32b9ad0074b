package client

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"zebu/proto"
)

// fake is the server's end of a connection that a test plays.
type fake struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

// pipes gives a client's dialler a new pipe for every connection; the other ends come out of the channel.
func pipes(t *testing.T) (func(context.Context, string, string) (net.Conn, error), <-chan *fake) {
	ends := make(chan *fake)
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case ends <- &fake{t, theirs, bufio.NewReader(theirs)}:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}, ends
}

func (f *fake) frame() []byte {
	f.t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(f.in, head[:]); err != nil {
		f.t.Error(err)
		return nil
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(f.in, body); err != nil {
		f.t.Error(err)
	}
	return body
}

// accept answers the handshake with a session of timeout milliseconds.
func (f *fake) accept(timeout int32) proto.ConnectRequest {
	f.t.Helper()
	d := proto.NewDecoder(f.frame())
	var req proto.ConnectRequest
	req.Decode(&d)
	resp := proto.ConnectResponse{Timeout: timeout, SessionID: 7, Passwd: []byte("0123456789abcdef"), HasReadOnly: true}
	f.Write(frame(resp.Append(make([]byte, 4))))
	return req
}

// request reads a request's header.
func (f *fake) request() proto.RequestHeader {
	f.t.Helper()
	d := proto.NewDecoder(f.frame())
	var h proto.RequestHeader
	h.Decode(&d)
	return h
}

func (f *fake) reply(h proto.ReplyHeader, body []byte) {
	f.Write(frame(append(h.Append(make([]byte, 4)), body...)))
}

func piped(t *testing.T, o Options) (*Client, <-chan *fake) {
	t.Helper()
	dial, ends := pipes(t)
	o.Servers, o.Dial, o.Patience = "h", dial, time.Minute
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.stop()
		<-c.done
	})
	return c, ends
}

// inBackground runs a call and returns its outcome through a channel.
func inBackground(f func(context.Context) error) <-chan error {
	out := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		out <- f(ctx)
	}()
	return out
}

// TestLostReply cuts the connection after the request: a write's outcome is unknown, a read is simply asked again.
func TestLostReply(t *testing.T) {
	c, ends := piped(t, Options{})
	set := inBackground(func(ctx context.Context) error { _, err := c.Set(ctx, "/a", nil, -1); return err })
	f := <-ends
	f.accept(10_000)
	if h := f.request(); h.Op != proto.OpSetData || h.Xid != 1 {
		t.Errorf("%+v", h)
	}
	f.Close()
	var lost *ConnectionError
	if err := <-set; !errors.As(err, &lost) || !lost.Lost || !errors.Is(err, proto.ErrConnectionLoss) {
		t.Errorf("write: %v", err)
	}
	get := inBackground(func(ctx context.Context) error { _, _, err := c.Get(ctx, "/a", false); return err })
	f = <-ends
	if req := f.accept(10_000); req.SessionID != 7 || string(req.Passwd) != "0123456789abcdef" {
		t.Errorf("resumed with %+v", req)
	}
	f.request()
	f.Close()
	f = <-ends
	f.accept(10_000)
	h := f.request()
	if h.Op != proto.OpGetData || h.Xid != 3 {
		t.Errorf("%+v", h)
	}
	f.reply(proto.ReplyHeader{Xid: h.Xid, Zxid: 9, Err: proto.ErrNoNode}, nil)
	if err := <-get; err != proto.ErrNoNode {
		t.Errorf("read: %v", err)
	}
	f.Close()
	f = <-ends
	if req := f.accept(10_000); req.LastZxidSeen != 9 {
		t.Errorf("last zxid seen %v", req.LastZxidSeen)
	}
}

// TestPoisonedReply expects a read whose reply costs the connection every time to fail in the end.
func TestPoisonedReply(t *testing.T) {
	c, ends := piped(t, Options{MaxFrame: 1 << 10})
	get := inBackground(func(ctx context.Context) error { _, _, err := c.Get(ctx, "/a", false); return err })
	for range tries {
		f := <-ends
		f.accept(10_000)
		f.request()
		f.Write([]byte{0, 0, 4, 1})
	}
	var lost *ConnectionError
	if err := <-get; !errors.As(err, &lost) || !strings.Contains(err.Error(), "more than the limit of 1024") {
		t.Errorf("%v", err)
	}
}

func TestExpiry(t *testing.T) {
	c, ends := piped(t, Options{})
	f := <-ends
	f.accept(10_000)
	get := inBackground(func(ctx context.Context) error { _, _, err := c.Get(ctx, "/a", false); return err })
	f.request()
	f.Close()
	f = <-ends
	f.accept(0)
	if err := <-get; err != proto.ErrSessionExpired {
		t.Errorf("%v", err)
	}
	var last Event
	for e := range c.Events() {
		last = e
	}
	if last.State != Expired || c.State() != Expired || c.State().Alive() {
		t.Errorf("last event %+v, state %v", last, c.State())
	}
}

// TestSilence expects pings, and a server that does not answer them to be given up.
func TestSilence(t *testing.T) {
	_, ends := piped(t, Options{})
	f := <-ends
	f.accept(150)
	if h := f.request(); h.Op != proto.OpPing || h.Xid != proto.XidPing {
		t.Errorf("%+v", h)
	}
	select {
	case f = <-ends:
		f.accept(10_000)
	case <-time.After(20 * time.Second):
		t.Error("a silent server is not given up")
	}
}

// TestBadServers expects nonsense from a server to end the connection, not the client.
func TestBadServers(t *testing.T) {
	for name, c := range map[string]struct {
		play func(f *fake)
		says string
	}{
		"no ZooKeeper": {func(f *fake) {
			f.frame()
			f.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		}, "is this a ZooKeeper client port?"},
		"short handshake": {func(f *fake) { f.frame(); f.Write(frame(make([]byte, 4+3))) }, "not a ZooKeeper server"},
		"closes at once":  {func(f *fake) { f.frame() }, "closed the connection instead"},
		"large frame":     {func(f *fake) { f.accept(9000); f.request(); f.Write([]byte{0x7f, 0xff, 0xff, 0xff}) }, "more than the limit"},
		"negative frame":  {func(f *fake) { f.accept(9000); f.request(); f.Write([]byte{0xff, 0xff, 0xff, 0xff}) }, "more than the limit"},
		"short header":    {func(f *fake) { f.accept(9000); f.request(); f.Write(frame(make([]byte, 4+3))) }, "ends early"},
		"wrong xid":       {func(f *fake) { f.accept(9000); f.request(); f.reply(proto.ReplyHeader{Xid: 77}, nil) }, "out of order"},
		"unasked auth":    {func(f *fake) { f.accept(9000); f.request(); f.reply(proto.ReplyHeader{Xid: proto.XidAuth}, nil) }, "out of order"},
		"bad event":       {func(f *fake) { f.accept(9000); f.request(); f.reply(proto.ReplyHeader{Xid: -1}, []byte{1}) }, "ends early"},
	} {
		t.Run(name, func(t *testing.T) {
			s, ends := piped(t, Options{MaxFrame: 1 << 20})
			set := inBackground(func(ctx context.Context) error { _, err := s.Set(ctx, "/a", nil, -1); return err })
			for range 50 { // a session that never came about is refused as soon as a round ends with the call waiting
				f := <-ends
				c.play(f)
				f.Close()
				select {
				case err := <-set:
					if err == nil || !strings.Contains(err.Error(), c.says) {
						t.Errorf("%v", err)
					}
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
			t.Error("the call has no outcome")
		})
	}
}

// FuzzDecodeReply gives the client arbitrary replies to each kind of operation: it may fail, not panic.
func FuzzDecodeReply(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 0}, uint8(3))
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0, 0, 255, 255, 255, 101}, uint8(1))
	f.Fuzz(func(t *testing.T, body []byte, kind uint8) {
		switch kind % 4 {
		case 0:
			_ = multiOutcome(body)
		case 1:
			d := proto.NewDecoder(body)
			var out proto.GetChildren2Response
			out.Decode(&d)
		case 2:
			d := proto.NewDecoder(body)
			var out proto.GetACLResponse
			out.Decode(&d)
		case 3:
			d := proto.NewDecoder(body)
			var e proto.WatcherEvent
			if e.Decode(&d); d.Err() == nil {
				var w watches
				w.add(dataWatch, e.Path)
				w.fired(e)
			}
		}
	})
}

// TestWatchBatches expects many watches to be registered again in frames of a bounded size, each of them once.
func TestWatchBatches(t *testing.T) {
	var w watches
	long := "/" + strings.Repeat("x", 1000)
	for i := range 400 {
		w.add(kind(i%5), long+string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	seen := 0
	for b := w.again(5); len(b) > 0; {
		n := int(binary.BigEndian.Uint32(b)) + 4
		if n > batch+1100+100 {
			t.Errorf("a frame of %d bytes", n)
		}
		d := proto.NewDecoder(b[4:n])
		var h proto.RequestHeader
		h.Decode(&d)
		var s proto.SetWatches2
		if h.Op == proto.OpSetWatches {
			var old proto.SetWatches
			old.Decode(&d)
			s = proto.SetWatches2{RelativeZxid: old.RelativeZxid, DataWatches: old.DataWatches, ExistWatches: old.ExistWatches, ChildWatches: old.ChildWatches}
		} else {
			s.Decode(&d)
		}
		if d.Err() != nil || d.Remaining() > 0 || h.Xid != proto.XidSetWatches || s.RelativeZxid != 5 {
			t.Fatalf("%+v %+v %v", h, s.RelativeZxid, d.Err())
		}
		seen += len(s.DataWatches) + len(s.ExistWatches) + len(s.ChildWatches) + len(s.PersistentWatches) + len(s.PersistentRecursiveWatches)
		b = b[n:]
	}
	if seen != 400 {
		t.Errorf("%d watches", seen)
	}
}
