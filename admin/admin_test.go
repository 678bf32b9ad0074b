package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"zebu/status"
	"zebu/status/statustest"
)

// ask sends a request and returns the status code, the header and the body.
func ask(t *testing.T, h http.Handler, method, path, auth, body string) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:5000"
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Result().Header, w.Body.String()
}

func get(t *testing.T, h http.Handler, path string) string {
	t.Helper()
	_, _, body := ask(t, h, http.MethodGet, path, "", "")
	return body
}

var (
	version  = regexp.MustCompile(`3\.9\.5-\S+, built on .* UTC`)
	digits   = regexp.MustCompile(`-?\d+(\.\d+)?`)
	envValue = regexp.MustCompile(`(?m) : ".*",$`)
	zebuLine = "  \"zebu.version\" :\n"
	zebusOwn = regexp.MustCompile(`(?m)^  "\w*zebu_.*\n`)
)

// apacheCases are requests and the files under testdata with the answers of Apache ZooKeeper 3.9.5.
var apacheCases = []struct {
	golden, method, path, auth string
	norm                       func(string) string
}{
	{golden: "index", path: ""},
	{golden: "index", path: "/"},
	{golden: "configuration", path: "/configuration"},
	{golden: "configuration", path: "/conf"},
	{golden: "connection_stat_reset", path: "/crst"},
	{golden: "connections", path: "/cons"},
	{golden: "dirs", path: "/dirs"},
	{golden: "dump", path: "/dump", norm: func(s string) string {
		return regexp.MustCompile(`(?m)^.*: \[ \],\n`).ReplaceAllString(s, "") // Apache keeps empty buckets
	}},
	{golden: "environment", path: "/envi", norm: func(s string) string {
		return strings.Replace(envValue.ReplaceAllString(s, " :"), zebuLine, "", 1)
	}},
	{golden: "get_trace_mask", path: "/gtmk"},
	{golden: "hash", path: "/hash"},
	{golden: "initial_configuration", path: "/icfg"},
	{golden: "is_read_only", path: "/isro"},
	{golden: "last_snapshot", path: "/lsnp"},
	{golden: "leader", path: "/lead"},
	{golden: "monitor", path: "/mntr", norm: func(s string) string {
		s = zebusOwn.ReplaceAllString(s, "")
		return sorted(regexp.MustCompile(`: \d+\.\d+`).ReplaceAllString(regexp.MustCompile(`(?m): -?\d+,?$`).ReplaceAllString(s, ": INTEGER"), ": FLOAT"))
	}},
	{golden: "nosuch", path: "/nosuch"},
	{golden: "observer_connection_stat_reset", path: "/orst"},
	{golden: "observers", path: "/obsr"},
	{golden: "restore", method: http.MethodPost, path: "/rest", norm: func(s string) string { return strings.ReplaceAll(s, `"rest"`, `"restore"`) }},
	{golden: "ruok", path: "/ruok"},
	{golden: "server_stats", path: "/srvr", norm: numbers},
	{golden: "snap_3", path: "/snapshot", auth: "digest a b"},
	{golden: "snap_badauth", path: "/snapshot", auth: "digest"},
	{golden: "snap_noscheme", path: "/snapshot", auth: "foo bar"},
	{golden: "snapshot", path: "/snapshot"},
	{golden: "stat_reset", path: "/srst"},
	{golden: "stats", path: "/stat", norm: numbers},
	{golden: "stmk1", path: "/stmk"},
	{golden: "stmk2", path: "/stmk?traceMask=zz"},
	{golden: "stmk3", path: "/set_trace_mask?traceMask=306"},
	{golden: "voting_view", path: "/voting_view"},
	{golden: "watch_summary", path: "/wchs"},
	{golden: "watches", path: "/wchc", norm: sorted},
	{golden: "watches_by_path", path: "/wchp", norm: sorted},
	{golden: "zabstate", path: "/zabstate"},
}

func numbers(s string) string { return digits.ReplaceAllString(s, "N") }

// sorted sorts lines and lists: Apache's order is that of its hash tables.
func sorted(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], ",")
		lines[i] = strings.Replace(lines[i], `"/app/e1", "/app"`, `"/app", "/app/e1"`, 1)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestCommandsAsApache holds the commands to the answers of Apache ZooKeeper 3.9.5 in the same state, byte for byte, but for
// the version and what norm takes away.
func TestCommandsAsApache(t *testing.T) {
	for _, tt := range apacheCases {
		b, err := os.ReadFile(filepath.Join("testdata", "apache-3.9.5", tt.golden+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		code, want, _ := strings.Cut(string(b), "\n")
		norm, method := tt.norm, cmp.Or(tt.method, http.MethodGet)
		if norm == nil {
			norm = func(s string) string { return s }
		}
		gotCode, header, got := ask(t, Handler(Options{Report: statustest.New().Report()}), method, "/commands"+tt.path, tt.auth, "")
		if strconv.Itoa(gotCode) != code {
			t.Errorf("%s: status %d, Apache %s", tt.golden, gotCode, code)
		}
		got, want = norm(version.ReplaceAllString(got, "VERSION")), norm(version.ReplaceAllString(want, "VERSION"))
		if got != want {
			t.Errorf("%s:\n%s\nApache:\n%s", tt.golden, got, want)
		}
		if kind := header.Get("Content-Type"); tt.golden != "index" && kind != "application/json" {
			t.Errorf("%s: content type %s", tt.golden, kind)
		}
	}
}

func TestEveryAliasIsJSON(t *testing.T) {
	h := Handler(Options{Report: statustest.New().Report()})
	for _, cmd := range table {
		for _, name := range cmd.names {
			var v map[string]any
			if err := json.Unmarshal([]byte(get(t, h, "/commands/"+name)), &v); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if got := v["command"]; got != cmd.names[0] && !cmd.auth {
				t.Errorf("%s calls itself %v", name, got)
			}
		}
	}
}

func TestNotServing(t *testing.T) {
	f := statustest.New()
	f.Now.Serving = false
	h := Handler(Options{Report: f.Report()})
	for path, serves := range map[string]bool{"ruok": false, "srvr": false, "restore": false, "envi": true, "mntr": true, "zabstate": true} {
		code, _, body := ask(t, h, http.MethodGet, "/commands/"+path, "", "")
		if strings.Contains(body, status.ErrNotServing) == serves || code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestMethods(t *testing.T) {
	h := Handler(Options{Report: statustest.New().Report()})
	for _, tt := range []struct {
		method, path string
		code         int
	}{
		{http.MethodHead, "/commands/ruok", 200}, {http.MethodPost, "/commands/ruok", 405}, {http.MethodPut, "/commands/ruok", 405},
		{http.MethodTrace, "/commands/ruok", 403}, {http.MethodDelete, "/commands/ruok", 405}, {http.MethodGet, "/commands/restore", 405},
		{http.MethodGet, "/", 404}, {http.MethodGet, "/debug/pprof/", 404}, {http.MethodPost, "/commands/log_level?level=debug", 200}, // unknown
	} {
		if code, _, body := ask(t, h, tt.method, tt.path, "digest super:test", ""); code != tt.code {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, code, body)
		}
	}
}

// raw returns a header that is sent in a form that is not canonical.
func raw(h map[string][]string, name string) string { return strings.Join(h[name], ",") }

func TestSnapshot(t *testing.T) {
	dir := t.TempDir()
	f := statustest.New()
	report := f.Report()
	h := Handler(Options{Report: report, RateInterval: time.Hour, TempDir: dir})
	const path, super = "/commands/snapshot", "digest super:test"
	if code, _, body := ask(t, h, http.MethodGet, path, "digest other:test", ""); code != 403 || !strings.Contains(body, `"Not authorized"`) {
		t.Errorf("not allowed: %d %s", code, body)
	}
	if code, _, _ := ask(t, h, http.MethodGet, path, "ip", ""); code != 403 {
		t.Errorf("by address: %d", code)
	}
	code, header, body := ask(t, h, http.MethodGet, path, super, "")
	if code != 200 || body != statustest.Snapshot || header.Get("Content-Type") != "application/octet-stream" ||
		raw(header, "last_zxid") != "0x92" || raw(header, "snapshot_size") != "10" {
		t.Errorf("%d %v %s", code, header, body)
	}
	if code, _, _ := ask(t, h, http.MethodGet, path, super, ""); code != 429 || report.Metrics.SnapshotRateLimitedCount.Count() != 1 {
		t.Errorf("second: %d", code)
	}
	h = Handler(Options{Report: report, RateInterval: -1, TempDir: dir})
	code, header, body = ask(t, h, http.MethodGet, path+"?streaming=false", super, "")
	if code != 200 || raw(header, "last_zxid") != "0x92" || !strings.Contains(body, `"command" : "snapshot"`) {
		t.Errorf("not streaming: %d %v %s", code, header, body)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	h = Handler(Options{Report: report, NoSnapshot: true})
	if code, _, _ := ask(t, h, http.MethodGet, path, super, ""); code != 503 {
		t.Errorf("switched off: %d", code)
	}
}

func TestRestore(t *testing.T) {
	report := statustest.New().Report()
	h := Handler(Options{Report: report, RateInterval: -1})
	const path, super = "/commands/restore", "digest super:test"
	code, _, body := ask(t, h, http.MethodPost, path, super, statustest.Snapshot)
	if code != 200 || body != "{\n  \"last_zxid\" : 146,\n  \"command\" : \"restore\",\n  \"error\" : null\n}" {
		t.Errorf("%d %s", code, body)
	}
	if code, _, _ := ask(t, h, http.MethodPost, path, super, "junk"); code != 500 || report.Metrics.RestoreErrorCount.Count() != 1 {
		t.Errorf("junk: %d", code)
	}
	h = Handler(Options{Report: report})
	for _, want := range []int{200, 429} {
		if code, _, _ := ask(t, h, http.MethodPost, path, super, statustest.Snapshot); code != want {
			t.Errorf("%d, want %d", code, want)
		}
	}
	h = Handler(Options{Report: report, NoRestore: true})
	if code, _, _ := ask(t, h, http.MethodPost, path, super, statustest.Snapshot); code != 503 {
		t.Errorf("switched off: %d", code)
	}
}

func TestForwardedForIsIgnored(t *testing.T) {
	h := Handler(Options{Report: statustest.New().Report()})
	r := httptest.NewRequest(http.MethodGet, "/commands/snapshot", nil)
	r.RemoteAddr = "127.0.0.1:5000"
	r.Header.Set("Authorization", "ip")
	r.Header.Set("X-Forwarded-For", "10.0.0.1")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d", w.Code)
	}
}

func TestLogLevel(t *testing.T) {
	level := zap.NewAtomicLevel()
	h := Handler(Options{Report: statustest.New().Report(), Level: &level})
	const path = "/commands/log_level"
	if body := get(t, h, path); !strings.Contains(body, `"level" : "info"`) {
		t.Error(body)
	}
	if code, _, _ := ask(t, h, http.MethodPut, path+"?level=debug", "", ""); code != 401 || level.String() != "info" {
		t.Errorf("without authentication: %d, level %s", code, level)
	}
	if code, _, body := ask(t, h, http.MethodPost, path+"?level=debug", "digest super:test", ""); code != 200 || level.String() != "debug" {
		t.Errorf("%d, level %s: %s", code, level, body)
	}
	for _, bad := range []string{"loud", "fatal", ""} {
		if code, _, _ := ask(t, h, http.MethodPost, path+"?level="+bad, "digest super:test", ""); code != 400 || level.String() != "debug" {
			t.Errorf("level %q: %d, level %s", bad, code, level)
		}
	}
	if body := get(t, h, "/commands"); !strings.Contains(body, `/log_level">`) || strings.Count(body, "log_level") != 2 {
		t.Error("log_level is not listed once")
	}
}

func TestSystemProperties(t *testing.T) {
	body := get(t, Handler(Options{Report: statustest.New().Report()}), "/commands/sysp")
	if !strings.HasPrefix(body, "{\n  \"zookeeper.preAllocSize\" : \"64\",\n  \"zookeeper.snapCount\" : \"100\",\n") {
		t.Error(body)
	}
}

func TestCommandURLAndPprof(t *testing.T) {
	h := Handler(Options{Report: statustest.New().Report(), CommandURL: "/zk/", Pprof: true})
	if body := get(t, h, "/zk/ruok"); !strings.Contains(body, `"ruok"`) {
		t.Error(body)
	}
	if body := get(t, h, "/zk"); !strings.Contains(body, `<a href="/zk/ruok">`) {
		t.Error(body)
	}
	if code, _, _ := ask(t, h, http.MethodGet, "/debug/pprof/cmdline", "", ""); code != 200 {
		t.Errorf("pprof: %d", code)
	}
}

func TestRunServesAndStops(t *testing.T) {
	s, err := New(Options{Report: statustest.New().Report(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	res, err := http.Get("http://" + s.Addr().String() + "/commands/ruok")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if !strings.Contains(string(body), `"command" : "ruok"`) {
		t.Errorf("%s", body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := New(Options{Report: statustest.New().Report(), Addr: "256.0.0.1:0"}); err == nil {
		t.Error("an impossible address is accepted")
	}
}

func TestJSONStrings(t *testing.T) {
	for in, want := range map[string]string{
		"a\"\\/\n\t\x01é\xff": `"a\"\\/\n\t\u0001é` + "\uFFFD" + `"`,
		"":                    `""`,
	} {
		if got := string(appendString(nil, in)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
