package main

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"zebu/proto"
)

// echoServer answers every request of the client protocol at once from a fixed answer, keeping nothing: what it and the
// generator cost together is the floor under every measurement, and it stands in for a server in the tests.
type echoServer struct {
	listener net.Listener
	data     []byte
}

func newEchoServer(addr string, dataSize int) (*echoServer, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &echoServer{listener: l, data: make([]byte, dataSize)}, nil
}

// serve accepts connections until the listener is closed.
func (s *echoServer) serve() error {
	for {
		nc, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer nc.Close()
			s.serveConn(nc)
		}()
	}
}

// serveConn answers all whole requests that one read brought with one write. It returns when the connection ends.
func (s *echoServer) serveConn(nc net.Conn) {
	in, out := make([]byte, loadBuffer), make([]byte, 0, loadBuffer)
	held, zxid, greeted := 0, int64(0), false
	for {
		n, err := nc.Read(in[held:])
		if err != nil {
			return
		}
		rest := in[:held+n]
		if !greeted && string(rest) == "srvr" {
			_, _ = nc.Write([]byte("Zookeeper version: none-echo\nMode: standalone\nNode count: 0\n")) // the asker sees a failure itself
			return
		}
		for len(rest) >= 4 {
			size := int(binary.BigEndian.Uint32(rest))
			if size < 8 || size > len(in)-4 {
				return
			}
			if len(rest) < 4+size {
				break
			}
			if greeted {
				zxid++
				out = s.answer(out, rest[4:4+size], zxid)
			} else {
				out = s.greet(out)
				greeted = true
			}
			rest = rest[4+size:]
		}
		held = copy(in, rest)
		if _, err := nc.Write(out); err != nil {
			return
		}
		out = out[:0]
	}
}

func (s *echoServer) greet(out []byte) []byte {
	resp := proto.ConnectResponse{Timeout: 30000, SessionID: 1, Passwd: make([]byte, 16), HasReadOnly: true}
	mark := len(out)
	out = resp.Append(proto.AppendInt32(out, 0))
	proto.PutInt32(out[mark:], int32(len(out)-mark-4))
	return out
}

// answer appends the reply to one request: as large as the real one, filled with zeros.
func (s *echoServer) answer(out, req []byte, zxid int64) []byte {
	mark := len(out)
	out = proto.AppendInt32(out, 0)
	out = append(out, req[:4]...)
	out = proto.AppendInt64(out, zxid)
	out = proto.AppendInt32(out, int32(proto.OK))
	var stat proto.Stat
	switch proto.OpCode(int32(binary.BigEndian.Uint32(req[4:]))) {
	case proto.OpGetData:
		out = stat.Append(proto.AppendBuf(out, s.data))
	case proto.OpSetData, proto.OpExists:
		out = stat.Append(out)
	case proto.OpCreate:
		d := proto.NewDecoder(req[8:])
		out = proto.AppendStr(out, d.Str())
	case proto.OpGetChildren:
		out = proto.AppendInt32(out, 0)
	}
	proto.PutInt32(out[mark:], int32(len(out)-mark-4))
	return out
}

func echoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "echo CONFIG", Short: "Answer every request at once (for the floor that compare reports)", Hidden: true,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			s, err := newEchoServer(net.JoinHostPort("127.0.0.1", configValue(string(text), "clientPort")), dataSize)
			if err != nil {
				return err
			}
			return s.serve()
		},
	}
}

// configValue returns the value of key in the text of a zoo.cfg.
func configValue(text, key string) string {
	for line := range strings.Lines(text) {
		if k, v, _ := strings.Cut(line, "="); k == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
