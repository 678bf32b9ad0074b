package interop

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"zebu/proto"
)

// wireTimeout bounds every read and write of a raw connection.
const wireTimeout = 20 * time.Second

// wire is a client connection without a client: frames in, frames out.
type wire struct {
	net.Conn
	r    *bufio.Reader
	xid  int32
	resp proto.ConnectResponse
	// lastZxid is the largest zxid of a reply header.
	lastZxid proto.Zxid
	// events are the notifications that call met on its way to a reply.
	events []frame
}

// frame is one message from the server after the connect response.
type frame struct {
	proto.ReplyHeader
	Body []byte
}

// dialWire opens a TCP connection and sends nothing.
func dialWire(addr string) (*wire, error) {
	c, err := net.DialTimeout("tcp", addr, wireTimeout)
	if err != nil {
		return nil, err
	}
	return &wire{Conn: c, r: bufio.NewReaderSize(c, 64<<10)}, nil
}

// connectWire opens a new session.
func connectWire(addr string, timeout time.Duration) (*wire, error) {
	return connectWireAs(addr, &proto.ConnectRequest{Timeout: int32(timeout.Milliseconds()), Passwd: make([]byte, 16), HasReadOnly: true})
}

// connectWireAs opens a connection with the given connect request.
func connectWireAs(addr string, req *proto.ConnectRequest) (*wire, error) {
	w, err := dialWire(addr)
	if err != nil {
		return nil, err
	}
	if err := w.handshake(req); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *wire) handshake(req *proto.ConnectRequest) error {
	if err := w.sendFrame(req.Append(nil)); err != nil {
		return err
	}
	b, err := w.readFrame()
	if err != nil {
		return fmt.Errorf("read connect response: %w", err)
	}
	d := proto.NewDecoder(b)
	w.resp.Decode(&d)
	return d.Err()
}

// errRefused is a session that the server does not accept.
var errRefused = errors.New("session refused")

// resumeWire reconnects to the session that old had.
func resumeWire(addr string, old *wire) (*wire, error) {
	w, err := connectWireAs(addr, &proto.ConnectRequest{
		LastZxidSeen: old.lastZxid, Timeout: old.resp.Timeout, SessionID: old.resp.SessionID, Passwd: old.resp.Passwd, HasReadOnly: true,
	})
	if err == nil && w.resp.Timeout == 0 {
		w.Close()
		return nil, errRefused
	}
	if err == nil {
		w.lastZxid = old.lastZxid
	}
	return w, err
}

// sendRaw writes bytes as they are.
func (w *wire) sendRaw(b []byte) error {
	if err := w.SetWriteDeadline(time.Now().Add(wireTimeout)); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// sendFrame writes a length and the bytes.
func (w *wire) sendFrame(b []byte) error {
	return w.sendRaw(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
}

func (w *wire) readFrame() ([]byte, error) {
	if err := w.SetReadDeadline(time.Now().Add(wireTimeout)); err != nil {
		return nil, err
	}
	var l [4]byte
	if _, err := io.ReadFull(w.r, l[:]); err != nil {
		return nil, err
	}
	n := int32(binary.BigEndian.Uint32(l[:]))
	if n < 0 || n > 64<<20 {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(w.r, b)
	return b, err
}

// read returns the next reply or event.
func (w *wire) read() (frame, error) {
	b, err := w.readFrame()
	if err != nil {
		return frame{}, err
	}
	var f frame
	d := proto.NewDecoder(b)
	f.ReplyHeader.Decode(&d)
	f.Body = d.Rest()
	if f.Xid != proto.XidWatcherEvent {
		w.lastZxid = max(w.lastZxid, f.Zxid)
	}
	return f, d.Err()
}

// record is what proto's request structs are.
type record interface{ Append([]byte) []byte }

// rawBody is a record that is already encoded.
type rawBody []byte

func (r rawBody) Append(b []byte) []byte { return append(b, r...) }

func encodeRequest(xid int32, op proto.OpCode, body record) []byte {
	h := proto.RequestHeader{Xid: xid, Op: op}
	b := h.Append(nil)
	if body != nil {
		b = body.Append(b)
	}
	return b
}

// send sends a request with the next xid, which it returns.
func (w *wire) send(op proto.OpCode, body record) (int32, error) {
	w.xid++
	return w.xid, w.sendFrame(encodeRequest(w.xid, op, body))
}

// call sends a request and returns its reply; events that came before it are kept in w.events.
func (w *wire) call(op proto.OpCode, body record) (frame, error) {
	xid, err := w.send(op, body)
	if err != nil {
		return frame{}, err
	}
	return w.await(xid)
}

func (w *wire) await(xid int32) (frame, error) {
	for {
		f, err := w.read()
		if err != nil {
			return f, err
		}
		if f.Xid == xid {
			return f, nil
		}
		if f.Xid != proto.XidWatcherEvent {
			return f, fmt.Errorf("reply with xid %d, want %d", f.Xid, xid)
		}
		w.events = append(w.events, f)
	}
}

// must is call for requests that have to succeed.
func (w *wire) must(op proto.OpCode, body record) ([]byte, error) {
	f, err := w.call(op, body)
	if err == nil {
		err = f.Err.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%v: %w", op, err)
	}
	return f.Body, nil
}

// auth adds an identity.
func (w *wire) auth(scheme, data string) error {
	p := proto.AuthPacket{Scheme: scheme, Auth: []byte(data)}
	if err := w.sendFrame(encodeRequest(proto.XidAuth, proto.OpAuth, &p)); err != nil {
		return err
	}
	f, err := w.await(proto.XidAuth)
	if err != nil {
		return err
	}
	return f.Err.Err()
}

var openACL = []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}}

// create makes a node and returns its name.
func (w *wire) create(path, data string, mode proto.CreateMode, acl []proto.ACL) (string, error) {
	op, body := proto.OpCreate, record(&proto.CreateRequest{Path: path, Data: []byte(data), ACL: acl, Flags: mode})
	if mode == proto.Container {
		op = proto.OpCreateContainer
	}
	b, err := w.must(op, body)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	d := proto.NewDecoder(b)
	return d.Str(), d.Err()
}
