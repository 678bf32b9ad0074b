package status_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"zebu/status"
	"zebu/status/statustest"
)

func run(t *testing.T, r *status.Report, word string) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Run(&b, word); err != nil {
		t.Fatalf("%s: %v", word, err)
	}
	return b.String()
}

// golden returns what Apache ZooKeeper 3.9.5 answered.
func golden(t *testing.T, word string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "apache-3.9.5", word+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	version    = regexp.MustCompile(`3\.9\.5-\S+, built on .* UTC`)
	date       = regexp.MustCompile(`\w\w\w \w\w\w \d\d \d\d:\d\d:\d\d \w+ \d{4}`)
	wordConn   = regexp.MustCompile(`(?m)^ \S*\[0\].*\n`) // the connection that asked
	emptySet   = regexp.MustCompile(`(?m)^0 expire at .*\n`)
	setCount   = regexp.MustCompile(`Sets \(\d+\)/\(\d+\)`)
	askingLine = regexp.MustCompile(`(?m)^\tip: \S+ sessionId: 0x0\n`)
	groupSize  = regexp.MustCompile(`(?m)^\d+ expire`)
	decimal    = regexp.MustCompile(`\d+`)
	zebusOwn   = regexp.MustCompile(`(?m)^zk_\w*zebu_.*\n`)
)

// TestWordsAsApache holds the words to Apache's answers in the same state, but for the version, and for what the notes say.
func TestWordsAsApache(t *testing.T) {
	asIs := func(s string) string { return s }
	sorted := func(s string) string {
		lines := strings.SplitAfter(s, "\n")
		slices.Sort(lines)
		return strings.Join(lines, "")
	}
	for word, norm := range map[string]func(string) string{
		"ruok": asIs, "isro": asIs, "srvr": asIs, "conf": asIs, "dirs": asIs, "hash": asIs, "gtmk": asIs, "crst": asIs,
		"srst": asIs, "wchs": asIs,
		"cons": func(s string) string { return wordConn.ReplaceAllString(s, "") },
		"stat": func(s string) string { // captured after a reset
			return decimal.ReplaceAllString(wordConn.ReplaceAllString(s, ""), "N")
		},
		"wchc": sorted, // Apache's order is that of its hash tables
		"wchp": sorted,
		"dump": func(s string) string { // Apache keeps empty buckets, and one of connections of its own
			s = askingLine.ReplaceAllString(emptySet.ReplaceAllString(s, ""), "")
			return groupSize.ReplaceAllString(setCount.ReplaceAllString(date.ReplaceAllString(s, "DATE"), "Sets"), "N expire")
		},
		"mntr": func(s string) string {
			s = zebusOwn.ReplaceAllString(s, "")
			s = regexp.MustCompile(`(?m)\t-?\d+$`).ReplaceAllString(s, "\tINTEGER")
			return sorted(regexp.MustCompile(`(?m)\t\d+\.\d{1,4}$`).ReplaceAllString(s, "\tFLOAT"))
		},
		"envi": func(s string) string { // names, in order, and zebu's version at the end
			s = strings.TrimSuffix(s, "zebu.version=0.1.0-dev\n")
			return regexp.MustCompile(`(?m)=.*`).ReplaceAllString(s, "=")
		},
	} {
		got := norm(version.ReplaceAllString(run(t, statustest.New().Report(), word), "VERSION"))
		want := norm(version.ReplaceAllString(golden(t, word), "VERSION"))
		if got != want {
			t.Errorf("%s:\n%s\nApache:\n%s", word, got, want)
		}
	}
	if got := run(t, statustest.New().Report(), "stmk\x00\x00\x00\x00\x00\x00\x01\x32"); got != golden(t, "stmk") {
		t.Errorf("stmk: %s", got)
	}
}

// TestMntrOfEtcd: only a server with the etcd API tells of it, under etcd's names.
func TestMntrOfEtcd(t *testing.T) {
	f := statustest.New()
	if got := run(t, f.Report(), "mntr"); strings.Contains(got, "etcd_") {
		t.Errorf("a server without the etcd API:\n%s", got)
	}
	f.KeySpace = &status.Etcd{
		ServerID: 1, Leader: 1, Revision: 1234, Compact: -1, Size: 5000, InUse: 4000, Quota: 2 << 30, Watches: 7, Leases: 3,
	}
	got := run(t, f.Report(), "mntr")
	for _, want := range []string{
		"zk_etcd_server_has_leader\t1", "zk_etcd_server_is_leader\t1", "zk_etcd_server_is_learner\t0",
		"zk_etcd_server_quota_backend_bytes\t2147483648", "zk_etcd_mvcc_db_total_size_in_bytes\t5000",
		"zk_etcd_mvcc_db_total_size_in_use_in_bytes\t4000", "zk_etcd_debugging_mvcc_current_revision\t1234",
		"zk_etcd_debugging_mvcc_compact_revision\t-1", "zk_etcd_debugging_mvcc_watcher_total\t7", "zk_etcd_debugging_lease_total\t3",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestVersion(t *testing.T) {
	got := statustest.New().Report().Version.String()
	if want := "3.9.5-zebu.0.1.0-dev, built on 02/11/2026 20:18 UTC"; got != want {
		t.Errorf("%s", got)
	}
	// What monitoring agents match it with.
	for _, tool := range []string{
		`^([\d\.]*).*`,                               // kazoo, on envi
		`^(\d+)\.(\d+)\.(\d+)-`,                      // agents that split the number off
		`^([0-9]+\.[0-9]+\.[0-9]+).*$`,               // exporters, on mntr
		`^[\w\.\-]+, built on \d\d/\d\d/\d{4} .*UTC`, // ZooKeeper's own, before 3.8
	} {
		if !regexp.MustCompile(tool).MatchString(got) {
			t.Errorf("%s does not match %s", got, tool)
		}
	}
}

func TestWhitelist(t *testing.T) {
	f := statustest.New()
	refused := " is not executed because it is not in the whitelist.\n"
	r := f.Report("ruok", " stat")
	for word, ok := range map[string]bool{"ruok": true, "stat": true, "srvr": true, "mntr": false, "isro": false, "stmk": false} {
		if got := run(t, r, word); (got == word+refused) == ok {
			t.Errorf("%s: %s", word, got)
		}
	}
	ro := status.NewReport(f, status.Options{Metrics: r.Metrics, ReadOnlyMode: true})
	if got := run(t, ro, "isro"); got != "rw" {
		t.Errorf("isro in read-only mode: %s", got)
	}
	if got := run(t, f.Report("ruok", "*"), "wchp"); strings.Contains(got, refused) {
		t.Error("* does not allow wchp")
	}
	if len(f.Calls()) != 0 {
		t.Errorf("called %v", f.Calls())
	}
}

func TestNotServing(t *testing.T) {
	f := statustest.New()
	f.Now.Serving = false
	for word, want := range map[string]string{
		"ruok": "imok", "isro": "null", "gtmk": "306",
		"srvr": status.ErrNotServing + "\n", "mntr": status.ErrNotServing + "\n", "srst": status.ErrNotServing + "\n",
	} {
		if got := run(t, f.Report(), word); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

func TestReadOnly(t *testing.T) {
	f := statustest.New()
	f.Now.Mode = status.ReadOnly
	got := run(t, f.Report(), "srvr")
	if !strings.Contains(got, "UTC\nREAD-ONLY mode; serving only read-only clients\nLatency") || !strings.Contains(got, "\nMode: read-only\n") {
		t.Error(got)
	}
	if got := run(t, f.Report(), "isro"); got != "ro" {
		t.Errorf("isro: %s", got)
	}
}

func TestResets(t *testing.T) {
	f := statustest.New()
	r := f.Report()
	r.Metrics.CommitCount.Inc()
	run(t, r, "srst")
	run(t, r, "crst")
	if !slices.Equal(f.Calls(), []string{"ResetServer", "ResetConns"}) || r.Metrics.CommitCount.Count() != 0 {
		t.Errorf("called %v, metric %d", f.Calls(), r.Metrics.CommitCount.Count())
	}
}

func TestTraceMask(t *testing.T) {
	r := statustest.New().Report()
	if got := run(t, r, "stmk\x00\x00\x00\x00\x00\x00\x00\x07"); got != "7" || run(t, r, "gtmk") != "7" {
		t.Errorf("mask %s", got)
	}
	if err := r.Run(&bytes.Buffer{}, "stmk\x00"); err == nil {
		t.Error("stmk without a mask succeeds")
	}
	if err := r.Run(&bytes.Buffer{}, "nope"); err == nil {
		t.Error("an unknown word succeeds")
	}
}

func TestIsWord(t *testing.T) {
	for word, want := range map[string]bool{"ruok": true, "stmk": true, "isro": true, "RUOK": false, "\x00\x00\x00\x2c": false} {
		if got := status.IsWord([4]byte([]byte(word))); got != want {
			t.Errorf("IsWord(%q) = %v", word, got)
		}
	}
}

// TestGoClientParses asks through the parsers of go-zookeeper/zk.
func TestGoClientParses(t *testing.T) {
	f := statustest.New()
	r := f.Report()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			var first [4]byte
			if _, err := c.Read(first[:]); err == nil && r.IsWord(first) {
				_ = r.Run(c, string(first[:]))
			}
			_ = c.Close()
		}
	}()
	servers := []string{ln.Addr().String()}
	stats, ok := zk.FLWSrvr(servers, 5*time.Second)
	if !ok || stats[0].Version != "3.9.5-zebu.0.1.0-dev" || stats[0].NodeCount != 9 || stats[0].Mode != zk.ModeStandalone ||
		stats[0].Counter != 0x92 || stats[0].AvgLatency != 0.8808 || !stats[0].BuildTime.Equal(r.Version.Built) {
		t.Errorf("srvr: %+v, %v", stats[0], ok)
	}
	if ok := zk.FLWRuok(servers, 5*time.Second); !ok[0] {
		t.Error("ruok fails")
	}
	conns, ok := zk.FLWCons(servers, 5*time.Second)
	if !ok || len(conns[0].Clients) != 2 || conns[0].Clients[0].SessionID != int64(statustest.SessionA) ||
		conns[0].Clients[1].Addr != "127.0.0.1:36268" {
		t.Errorf("cons: %+v, %v", conns[0], ok)
	}
}
