package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// run executes the command with arguments, as main would, and returns its output and exit code.
func run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	t.Setenv("SERVER_JVMFLAGS", "")
	t.Setenv("JVMFLAGS", "-Xmx512m -Dzookeeper.extendedTypesEnabled=true")
	var out bytes.Buffer
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.Execute()
	if err != nil {
		out.WriteString("zebu: " + err.Error() + "\n")
		return out.String(), exitCode(err)
	}
	return out.String(), 0
}

// golden compares output with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("output differs from %s (-update writes it):\n%s", path, got)
	}
}

func TestConfigCheck(t *testing.T) {
	for _, c := range []struct {
		golden string
		args   []string
		code   int
	}{
		{"check.golden", []string{"testdata/zoo.cfg", "-Dzookeeper.snapCount=1", "-Djute.maxbuffer=0x200000"}, 0},
		{"check-given.golden", []string{"--given", "--config", "testdata/zoo.cfg"}, 0},
		{"check-json.golden", []string{"testdata/zoo.cfg", "--given", "-o", "json"}, 0},
		{"check-broken.golden", []string{"testdata/broken.cfg"}, exitInvalid},
		{"check-default.golden", []string{"--given"}, 0},
	} {
		t.Run(c.golden, func(t *testing.T) {
			out, code := run(t, append([]string{"config", "check"}, c.args...)...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			golden(t, c.golden, out)
		})
	}
}

func TestConfigCheckBrokenJSON(t *testing.T) {
	out, code := run(t, "config", "check", "testdata/broken.cfg", "-o", "json")
	if code != exitInvalid {
		t.Errorf("exit code %d", code)
	}
	var r report
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&r); err != nil {
		t.Fatal(err)
	}
	if r.Valid || len(r.Errors) != 2 || r.Errors[0].Key != "tickTime" || r.Errors[1].Source != "testdata/broken.cfg:4" {
		t.Errorf("%+v", r)
	}
}

func TestInvocations(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"server --nonsense", exitInvalid, "unknown flag: --nonsense\nSee 'zebu server --help'."},
		{"server 1 2 3 4 5", exitInvalid, "at most 4"},
		{"server --config a b", exitInvalid, "--config a leaves no room for arguments: b"},
		{"server /nowhere/zoo.cfg", exitInvalid, "no such file"},
		{"server port /data", exitInvalid, "argument 1: clientPort=port: expected a port number"},
		{"server --log-level loud", exitInvalid, "--log-level loud: expected debug, info, warn or error"},
		{"server --log-format xml", exitInvalid, "--log-format xml: expected console or json"},
		{"config check -o xml", exitInvalid, "--output xml: expected table or json"},
		{"config default", 0, "clientPort=2181\n"},
		{"version", 0, "ZooKeeper version told to clients: 3.9.5\n"},
		{"server --help", 0, "zebu server /etc/zookeeper/zoo.cfg"},
	} {
		t.Run(c.args, func(t *testing.T) {
			out, code := run(t, strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(out, c.want) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, c.code, c.want, out)
			}
		})
	}
}
