package fourletter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"zebu/internal/freeport"
	"zebu/proto"
	"zebu/status"
)

// answering is a server on a free port that reads a word and answers with text; it never answers the word "hang".
func answering(t *testing.T, answer func(word string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			word := make([]byte, 4)
			_, err = io.ReadFull(c, word)
			if err == nil && string(word) == "hang" {
				_, err = io.ReadFull(c, word) // returns when the client has given up
			}
			if err == nil {
				_, _ = io.WriteString(c, answer(string(word)))
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestAsk(t *testing.T) {
	addr := answering(t, func(word string) string {
		switch word {
		case "ruok":
			return "imok"
		case "srvr":
			return "This ZooKeeper instance is not currently serving requests\n"
		case "none":
			return ""
		case "long":
			return strings.Repeat("x", maxAnswer+1)
		case "full":
			return strings.Repeat("x", maxAnswer)
		}
		return word + " is not executed because it is not in the whitelist.\n"
	})
	if text, err := Ask(t.Context(), addr, "ruok"); text != "imok" || err != nil {
		t.Errorf("ruok: %q, %v", text, err)
	}
	if text, err := Ask(t.Context(), addr, "full"); len(text) != maxAnswer || err != nil {
		t.Errorf("full: %d bytes, %v", len(text), err)
	}
	for word, want := range map[string]error{"srvr": ErrNotServing, "mntr": ErrNotAllowed, "none": ErrNoAnswer} {
		if text, err := Ask(t.Context(), addr, word); !errors.Is(err, want) {
			t.Errorf("%s: %q, %v, want %v", word, text, err, want)
		}
	}
	if text, err := Ask(t.Context(), addr, "long"); err == nil || text != "" {
		t.Errorf("long: %d bytes, %v", len(text), err)
	}
}

func TestAskGivesUp(t *testing.T) {
	addr := answering(t, func(string) string { return "" })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Ask(ctx, addr, "hang"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	port, err := freeport.Next()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Ask(t.Context(), fmt.Sprint("127.0.0.1:", port), "srvr"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody there: %v", err)
	}
}

// leaderSrvr was captured from Apache ZooKeeper 3.9.5, like the texts below.
const leaderSrvr = `Zookeeper version: 3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC
Latency min/avg/max: 1/5.1667/16
Received: 12
Sent: 13
Connections: 2
Outstanding: 3
Zxid: 0x100000006
Mode: leader
Node count: 10
Proposal sizes last/min/max: 88/48/88
`

func TestParseSummary(t *testing.T) {
	want := Summary{
		Version: "3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC",
		Mode:    status.Leader, Zxid: proto.MakeZxid(1, 6), LatencyMin: 1, LatencyAvg: 5.1667, LatencyMax: 16,
		Received: 12, Sent: 13, Connections: 2, Outstanding: 3, Nodes: 10,
	}
	stat := strings.Replace(leaderSrvr, "Latency", "Clients:\n /127.0.0.1:46310[1](queued=0,recved=6,sent=6)\n\nLatency", 1)
	for name, text := range map[string]string{"srvr": leaderSrvr, "stat": stat} {
		if got, err := ParseSummary(text); got != want || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	readOnly := strings.NewReplacer("Latency", "READ-ONLY mode; serving only read-only clients\nLatency",
		"leader", "read-only", "0x100000006", "0xffffffff00000001").Replace(leaderSrvr)
	got, err := ParseSummary(readOnly)
	if got.Mode != status.ReadOnly || got.Zxid.Counter() != 1 || err != nil {
		t.Errorf("read-only: %+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"HTTP":        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n",
		"no mode":     strings.Replace(leaderSrvr, "Mode: leader\n", "", 1),
		"no zxid":     strings.Replace(leaderSrvr, "Zxid: ", "Zxid=", 1),
		"zxid":        strings.Replace(leaderSrvr, "0x100000006", "six", 1),
		"latency":     strings.Replace(leaderSrvr, "1/5.1667/16", "1/5.1667", 1),
		"average":     strings.Replace(leaderSrvr, "5.1667", "many", 1),
		"connections": strings.Replace(leaderSrvr, "Connections: 2", "Connections: 2147483648000000000000", 1),
	} {
		if s, err := ParseSummary(text); err == nil {
			t.Errorf("%s: accepted: %+v", name, s)
		}
	}
}

func TestValues(t *testing.T) {
	v := ParseMonitor("zk_version\t3.9.5-293c895, built on 2026-02-11 20:18 UTC\nzk_peer_state\tfollowing - broadcast\n" +
		"zk_global_sessions\t7\nzk_local_sessions\t2.0\nzk_avg_latency\t0.5\nno value\n")
	for key, want := range map[string]int64{"global_sessions": 7, "local_sessions": 2} {
		if n, ok := v.Int(key); n != want || !ok {
			t.Errorf("%s: %d, %v", key, n, ok)
		}
	}
	for _, key := range []string{"version", "avg_latency", "missing", "no value"} {
		if n, ok := v.Int(key); ok {
			t.Errorf("%s: %d", key, n)
		}
	}
	if v["peer_state"] != "following - broadcast" {
		t.Errorf("peer_state %q", v["peer_state"])
	}
	v = ParseConfig("clientPort=44939\nserverId=1\nmembership: \nserver.1=127.0.0.1:44695:52503:participant\nversion=0")
	if id, ok := v.Int("serverId"); id != 1 || !ok || v["server.1"] != "127.0.0.1:44695:52503:participant" {
		t.Errorf("%v", v)
	}
}

// TestParseReport reads what zebu itself writes.
func TestParseReport(t *testing.T) {
	var b bytes.Buffer
	r := status.NewReport(fake{}, status.Options{Version: status.Version{ZooKeeper: "3.9.5", Zebu: "0.1.0"}})
	if err := r.Run(&b, "srvr"); err != nil {
		t.Fatal(err)
	}
	s, err := ParseSummary(b.String())
	if err != nil || s.Mode != status.Follower || s.Zxid != proto.MakeZxid(3, 4) || s.LatencyAvg != 0.25 || s.Nodes != 5 {
		t.Errorf("%+v, %v", s, err)
	}
}

// fake is a source of which srvr asks only the server's numbers.
type fake struct{ status.Source }

func (fake) Server() status.Server {
	return status.Server{Serving: true, Mode: status.Follower, Zxid: proto.MakeZxid(3, 4), LatencyAvg: 0.25, NodeCount: 5}
}

func (fake) Ensemble() *status.Ensemble { return nil }

func (fake) Etcd() *status.Etcd { return nil }

func FuzzParse(f *testing.F) {
	f.Add(leaderSrvr)
	f.Add("Mode: \nZxid: 0x\nLatency min/avg/max: //")
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = ParseSummary(text)
		v := ParseMonitor(text)
		for key := range v {
			v.Int(key)
		}
	})
}
