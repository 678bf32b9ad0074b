package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zebu/internal/client"
	"zebu/mirror"
	"zebu/proto"
	"zebu/server/servertest"
)

// standalone runs a server with a small tree until the end of the test, and returns its address.
func standalone(t *testing.T, paths ...string) string {
	t.Helper()
	addr := servertest.Start(t)
	cl, err := client.New(client.Options{Servers: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close(context.Background())
	for _, p := range paths {
		if _, _, err := cl.Create(t.Context(), client.Create{Path: p, ACL: client.OpenACL()}); err != nil {
			t.Fatal(err)
		}
	}
	return addr
}

// TestCopyCommand checks what is the program's part of a copy: invocations, output and exit codes.
func TestCopyCommand(t *testing.T) {
	src, dst := standalone(t, "/a", "/a/b"), standalone(t, "/x")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("digest:joe:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		out  string // a part of standard output or of the error
	}{
		{"", exitInvalid, "accepts 2 arg"},
		{src + "/a", exitInvalid, "accepts 2 arg"},
		{"ftp://x/ " + dst, exitInvalid, "source: "},
		{src + " zk://", exitInvalid, "destination: "},
		{src + "/a " + src + "/a/b", exitInvalid, "overlap"},
		{src + "/a " + dst + "/a --acl=none", exitInvalid, "--acl=none"},
		{src + "/a " + dst + "/a -o yaml", exitInvalid, "expected text or json"},
		{src + "/a " + dst + "/a --verify --follow", exitInvalid, "exclude each other"},
		{src + "/a " + dst + "/a --verify -n", exitInvalid, "exclude each other"},
		{src + "/a " + dst + "/a --rescan 5s", exitInvalid, "--rescan goes with"},
		{src + "/a " + dst + "/a --concurrency 0", exitInvalid, "--concurrency 0"},
		{src + "/a " + dst + "/a --patience -1s", exitInvalid, "negative"},
		{src + "/a " + dst + "/a --src-auth joe", exitInvalid, "SCHEME:CREDENTIALS"},
		{src + "/a " + dst + "/a --src-auth @/none/such", exitInvalid, "no such file"},
		{src + "/a " + dst + "/a --exclude a[", exitInvalid, "pattern"},
		{src + "/none " + dst + "/a", exitNoNode, "does not exist"},
		{src + "/a 127.0.0.1:1/a", exitUnreachable, "destination: zk://127.0.0.1:1/a: no connection"},
		{src + "/a " + dst + "/a -n", 0, "create   /b\n"},
		{src + "/a " + dst + "/a --verify", exitUnexpected, "missing  /b\n"},
		{src + "/a " + dst + "/a --dst-auth @" + secret, 0, ""},
		{src + "/a " + dst + "/a --verify", 0, ""},
		{src + "/a " + dst + "/a --verify -o json", 0, `"result":"equal"`},
	} {
		out, code := run(t, append([]string{"copy", "-q"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(out, c.out) {
			t.Errorf("copy %s: code %d, want %d\n%s", c.args, code, c.code, out)
		}
	}
	out, code := run(t, "copy", src+"/a", dst+"/x/y", "-o", "json")
	var s copySummary
	if err := json.Unmarshal([]byte(out[strings.IndexByte(out, '{'):]), &s); err != nil || code != 0 || s.Created != 2 || s.Result != "done" || s.Mode != "copy" {
		t.Errorf("%d %v %s", code, err, out)
	}
}

func TestCopyError(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		code int
	}{
		{t.Context(), errors.New("x"), exitUnexpected},
		{t.Context(), &client.ConnectionError{Err: errors.New("x")}, exitUnreachable},
		{t.Context(), context.DeadlineExceeded, exitUnreachable},
		{t.Context(), mirror.ErrNoSource, exitNoNode},
		{t.Context(), proto.ErrNoAuth, exitUnexpected},
		{cancelled, mirror.ErrNoSource, exitInterrupted},
	} {
		if got := exitCode(copyError(c.ctx, c.err)); got != c.code {
			t.Errorf("%v: %d, want %d", c.err, got, c.code)
		}
	}
}

func TestCopyProgress(t *testing.T) {
	p := &copyProgress{how: "copy"}
	for _, c := range []struct {
		now, before mirror.Progress
		want        string
	}{
		{mirror.Progress{Visited: 500, Total: 2000, Bytes: 3 << 20}, mirror.Progress{Visited: 400}, "copy: 500 of 2000 nodes, 3072 KiB, 50 nodes/s, ETA 30s"},
		{mirror.Progress{Visited: 500, Total: -1, Bytes: 30 << 20, Failed: 2}, mirror.Progress{}, "copy: 500 nodes, 30 MiB, 250 nodes/s, 2 failed"},
		{mirror.Progress{Visited: 500, Total: 499, Bytes: 7}, mirror.Progress{Visited: 500}, "copy: 500 of 500 nodes, 7 B, 0 nodes/s"},
		{mirror.Progress{Following: true, Changes: 7, Pending: 3, LagMillis: 1250, Created: 1}, mirror.Progress{}, "following: 7 changes, 3 pending, lag 1.2s, 1 created, 0 updated, 0 deleted, 0 failed"},
	} {
		if got := p.text(c.now, c.before, 2*time.Second); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}
