package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"zebu/internal/freeport"
	"zebu/status"
)

// Captured from Apache ZooKeeper 3.9.5, as the other texts of this file that are not zebu's.
const (
	apacheVersion    = "3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC"
	zebuVersion      = "3.9.5-zebu.0.1.0-dev, built on 11/21/2026 05:38 UTC"
	apacheNotServing = "This ZooKeeper instance is not currently serving requests\n"
	apacheConf       = "clientPort=44939\nsecureClientPort=-1\ndataDir=/var/lib/zookeeper/version-2\nserverId=1\ninitLimit=20\n" +
		"membership: \nserver.1=127.0.0.1:44695:52503:participant\nversion=0"
	apacheMntr = "zk_version\t" + apacheVersion + "\nzk_server_state\tfollower\nzk_peer_state\tfollowing - broadcast\n" +
		"zk_num_alive_connections\t2\nzk_avg_latency\t5.1667\nzk_global_sessions\t7\nzk_local_sessions\t1\nzk_max_latency\t16\n"
	etcdMntr = "zk_etcd_server_quota_backend_bytes\t2147483648\nzk_etcd_mvcc_db_total_size_in_bytes\t25165824\n" +
		"zk_etcd_mvcc_db_total_size_in_use_in_bytes\t70000\nzk_etcd_debugging_mvcc_current_revision\t1234\n" +
		"zk_etcd_debugging_mvcc_compact_revision\t-1\nzk_etcd_debugging_mvcc_watcher_total\t5\nzk_etcd_debugging_lease_total\t2\n"
)

// srvrText is an answer to srvr.
func srvrText(version, mode, zxid string) string {
	text := "Zookeeper version: " + version + "\n"
	if mode == "read-only" {
		text += "READ-ONLY mode; serving only read-only clients\n"
	}
	text += "Latency min/avg/max: 1/5.1667/16\nReceived: 11\nSent: 12\nConnections: 2\nOutstanding: 0\nZxid: " + zxid +
		"\nMode: " + mode + "\nNode count: 10\n"
	if mode == "leader" {
		text += "Proposal sizes last/min/max: 88/48/88\n"
	}
	return text
}

// words are what a server answers; to a word that is missing, that it is not in the whitelist.
type words map[string]string

// full answers all three words, limited srvr alone, as the servers do by default.
func full(srvr string) words { return words{"srvr": srvr, "mntr": apacheMntr, "conf": apacheConf} }
func withEtcd(srvr string) words {
	return words{"srvr": srvr, "mntr": apacheMntr + etcdMntr, "conf": apacheConf}
}
func limited(srvr string) words { return words{"srvr": srvr} }

// notServing is what a server answers to all of them while it looks for a leader.
var notServing = words{"srvr": apacheNotServing, "mntr": apacheNotServing, "conf": apacheNotServing}

// fakeServer answers four-letter words on a free port. Nil words never answer; they close what they took at the end.
func fakeServer(t *testing.T, w words) string {
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
			if w == nil {
				defer c.Close()
				continue
			}
			word := make([]byte, 4)
			if _, err := io.ReadFull(c, word); err == nil {
				text, ok := w[string(word)]
				if !ok {
					text = string(word) + " is not executed because it is not in the whitelist.\n"
				}
				_, _ = io.WriteString(c, text)
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	port, err := freeport.Next()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("127.0.0.1:", port)
}

// named replaces the ports, which have five digits each, by 20001 and so on.
func named(text string, addrs []string) string {
	for i, a := range addrs {
		text = strings.ReplaceAll(text, a, "127.0.0.1:2000"+string(rune('1'+i)))
	}
	return text
}

func TestStatus(t *testing.T) {
	leader, follower := srvrText(apacheVersion, "leader", "0x100000009"), srvrText(apacheVersion, "follower", "0x100000006")
	for _, c := range []struct {
		name    string
		servers []words
		args    []string
		code    int
	}{
		{"healthy", []words{full(follower), limited(srvrText(zebuVersion, "follower", "0x10000000a")), limited(leader), limited(srvrText(zebuVersion, "observer", "0x100000009"))}, nil, 0},
		{"new-epoch", []words{limited(srvrText(zebuVersion, "leader", "0x200000000")), limited(follower)}, nil, 0},
		{"old-epoch", []words{limited(srvrText(zebuVersion, "leader", "0x200000001")), limited(follower)}, nil, 0},
		{"standalone", []words{full(srvrText(zebuVersion, "standalone", "0x5"))}, nil, 0},
		{"looking", []words{notServing, full(follower), full(srvrText(apacheVersion, "read-only", "0x100000007"))}, nil, exitUnexpected},
		{"two-leaders", []words{full(leader), full(leader)}, nil, exitUnexpected},
		{"two-standalone", []words{full(leader), full(srvrText(apacheVersion, "standalone", "0x5"))}, nil, exitUnexpected},
		{"no-zookeeper", []words{full(leader), {"srvr": "HTTP/1.1 400 Bad Request\r\n\r\n"}, {"srvr": ""}}, nil, exitUnexpected},
		{"json", []words{full(leader), limited(follower), notServing}, []string{"-o", "json"}, exitUnexpected},
		{"etcd", []words{withEtcd(leader), full(follower), notServing, withEtcd(follower)}, nil, exitUnexpected},
		{"etcd-json", []words{withEtcd(leader), full(follower)}, []string{"-o", "json"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var addrs []string
			for _, w := range c.servers {
				addrs = append(addrs, fakeServer(t, w))
			}
			out, code := run(t, append(append([]string{"status"}, addrs...), c.args...)...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			golden(t, "status-"+c.name+".golden", named(out, addrs))
		})
	}
}

// TestStatusDown asks servers that are not there, or hang, beside one that serves.
func TestStatusDown(t *testing.T) {
	addrs := []string{fakeServer(t, full(srvrText(zebuVersion, "leader", "0x100000009"))), nobody(t), fakeServer(t, nil)}
	start := time.Now()
	out, code := run(t, "status", strings.Join(addrs, ",")+"/chroot", addrs[0], "--timeout", "100ms")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if code != exitUnexpected {
		t.Errorf("exit code %d", code)
	}
	golden(t, "status-down.golden", named(out, addrs))
}

func TestStatusUsage(t *testing.T) {
	for _, args := range [][]string{
		{"zk1:port:2181"}, {"zk1:0"}, {":2181"}, {"zk1,,zk2"}, {"zk1:99999"},
		{"-o", "xml"}, {"--timeout", "0s"}, {"--watch=-1s"}, {"--watch=often"}, {"--nonsense"},
	} {
		if out, code := run(t, append([]string{"status"}, args...)...); code != exitInvalid || !strings.Contains(out, "zebu status --help") {
			t.Errorf("%q: exit code %d: %s", args, code, out)
		}
	}
}

func TestAddresses(t *testing.T) {
	got, err := addresses([]string{"zk1", "zk2:2182, zk3:2183/some/chroot", "::1", "[::1]:2181", "[fe80::1]", "zk1:2181"})
	want := []string{"zk1:2181", "zk2:2182", "zk3:2183", "[::1]:2181", "[fe80::1]:2181"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err = addresses(nil); err != nil || !slices.Equal(got, []string{"127.0.0.1:2181"}) {
		t.Errorf("none: %q, %v", got, err)
	}
}

// looks passes on what is printed, one print at a time.
type looks chan string

func (l looks) Write(p []byte) (int, error) {
	l <- string(bytes.Clone(p))
	return len(p), nil
}

// TestStatusWatch looks until it is told to stop, and ends as the last look found things.
func TestStatusWatch(t *testing.T) {
	w := full(srvrText(zebuVersion, "standalone", "0x5"))
	addr := fakeServer(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	seen, done := make(looks), make(chan error, 1)
	root := newRootCommand()
	root.SetArgs([]string{"status", addr, "--watch=1ms", "-o", "json"})
	root.SetOut(seen)
	go func() { done <- root.ExecuteContext(ctx) }()
	for range 3 {
		var e ensembleStatus
		if text := <-seen; json.Unmarshal([]byte(text), &e) != nil || !e.Healthy || e.Servers[0].Role != status.Standalone || strings.Count(text, "\n") != 1 {
			t.Errorf("look %q", text)
		}
	}
	cancel()
	for ended := false; !ended; {
		select {
		case <-seen:
		case err := <-done:
			if ended = true; err != nil {
				t.Errorf("ended with %v", err)
			}
		}
	}
}
