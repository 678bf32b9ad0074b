package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"zebu/cli"
)

func TestCLIFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.cfg")
	if err := os.WriteFile(file, []byte("# of ZooKeeper's client\njute.maxbuffer = 0x100000\nzookeeper.request.timeout=5\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	secure := filepath.Join(t.TempDir(), "secure.cfg")
	if err := os.WriteFile(secure, []byte("zookeeper.client.secure=true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		want cli.Options
		err  string
	}{
		{args: "", want: cli.Options{}},
		{args: "-server h:1 ls -s /", want: cli.Options{Server: "h:1", Command: []string{"ls", "-s", "/"}}},
		{args: "--server=h:1 -timeout 5000 -r -waitforconnection", want: cli.Options{Server: "h:1", Timeout: 5 * time.Second, ReadOnly: true, Wait: true}},
		{args: "-zkcli -o json --timeout 3s --read-only get /a -o text", want: cli.Options{Compat: true, JSON: true, Timeout: 3 * time.Second, ReadOnly: true, Command: []string{"get", "/a", "-o", "text"}}},
		{args: "-client-configuration " + file, want: cli.Options{MaxFrame: 1 << 20}},
		{args: "-- -x", want: cli.Options{Command: []string{"-x"}}},
		{args: "-client-configuration " + secure, err: "TLS"},
		{args: "-client-configuration /none/such", err: "no such file"},
		{args: "-server", err: "needs a value"},
		{args: "-timeout soon", err: "expected milliseconds"},
		{args: "-timeout -5", err: "expected milliseconds"},
		{args: "-o xml", err: "expected text or json"},
		{args: "-secure", err: "unknown flag"},
	} {
		var o cli.Options
		_, err := cliFlags(&o, strings.Fields(c.args))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", c.args, err)
			}
			continue
		}
		if len(o.Command) == 0 {
			o.Command = nil
		}
		if err != nil || !reflect.DeepEqual(o, c.want) {
			t.Errorf("%s: %+v, %v", c.args, o, err)
		}
	}
}

// TestCLI checks what is the program's part of the shell: help and exit codes.
func TestCLI(t *testing.T) {
	if out, code := run(t, "cli", "--help"); code != 0 || !strings.Contains(out, "Exit codes:") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := run(t, "cli", "-nonsense"); code != exitInvalid {
		t.Errorf("%d %s", code, out)
	}
	t.Setenv("ZEBU_HISTORY", "")
	if _, code := run(t, "cli", "-server", "127.0.0.1:1", "ls", "/"); code != cli.ExitConnection {
		t.Errorf("exit code %d", code)
	}
	if historyFile() != "" {
		t.Error("an empty ZEBU_HISTORY is a file")
	}
	os.Unsetenv("ZEBU_HISTORY")
	t.Setenv("XDG_STATE_HOME", "/state")
	if got := historyFile(); got != "/state/zebu/cli_history" {
		t.Error(got)
	}
}
