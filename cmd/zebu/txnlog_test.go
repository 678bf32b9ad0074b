package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goldenDir = "../../storage/testdata/apache-3.9.5"

// run runs zebu with arguments and returns its standard output.
func runCommand(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := newRootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.Execute()
	return out.String(), err
}

func TestTxnlogDump(t *testing.T) {
	out, err := runCommand(t, "txnlog", "dump", "--data", filepath.Join(goldenDir, "log.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"0x1 2026-11-21T03:03:29.207Z session 0x100001b10a40000 cxid 0 createSession timeout 10s digest 0x51c6d660\n",
		`cxid 3 create /app/b 9 bytes "\x00\x01binary\xff" acl world:anyone:cdrwa digest`,
		"create /app/eph 1 bytes \"x\" ephemeral acl",
		"setACL /app/b version 1 acl ip:127.0.0.1:cdrwa,world:anyone:r digest",
		"cxid 14 multi of 4 digest 0x61457a10a\n    create /m1 1 bytes \"1\" acl world:anyone:cdrwa\n    setData /app 5 bytes \"multi\" version 2\n    check /app version 3\n    delete /app/b\n",
		"    error NODEEXISTS\n", "cxid 16 error NONODE\n", "closeSession /app/eph2 digest 0x6c29cfd1e\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out, "\n"); n != 24+4+3 {
		t.Errorf("%d lines", n)
	}
}

func TestTxnlogDumpJSON(t *testing.T) {
	out, err := runCommand(t, "txnlog", "dump", "-o", "json", filepath.Join(goldenDir, "log.1"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 24 {
		t.Fatalf("%d lines", len(lines))
	}
	var v txnView
	if err := json.Unmarshal([]byte(lines[15]), &v); err != nil {
		t.Fatal(err)
	}
	if v.Zxid != "0x10" || v.Type != "multi" || len(v.Ops) != 4 || v.Ops[1].Path != "/app" || *v.Ops[1].Size != 5 || v.Ops[1].Data != nil {
		t.Errorf("%+v", v)
	}
}

// damaged returns a copy of a golden file with one byte changed.
func damaged(t *testing.T, name string, at int) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(goldenDir, name))
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTxnlogVerify(t *testing.T) {
	whole := filepath.Join(goldenDir, "log.1")
	out, err := runCommand(t, "txnlog", "verify", whole)
	if want := whole + ": ok, 24 transactions, 0x1 to 0x18, 2676 bytes and 100 preallocated\n"; err != nil || out != want {
		t.Errorf("%v\n%s", err, out)
	}
	bad := damaged(t, "log.1", 500)
	out, err = runCommand(t, "txnlog", "verify", bad)
	if exitCode(err) != 1 || !strings.Contains(out, bad+": CORRUPT at offset ") || !strings.Contains(out, "before it 5 transactions, 0x1 to 0x5") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := runCommand(t, "txnlog", "dump", bad); exitCode(err) != 1 || !strings.Contains(err.Error(), "corrupt at offset") {
		t.Errorf("dump: %v", err)
	}
	torn := damaged(t, "log.1", 2675) // the last end mark
	out, err = runCommand(t, "txnlog", "verify", torn)
	if err != nil || !strings.Contains(out, "0x1 to 0x17; the end from offset 2602 on is torn: the record ends in 0x43") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = runCommand(t, "txnlog", "verify", whole, whole)
	if exitCode(err) != 1 || !strings.Contains(out, "GAP: begins with 0x1, the file before ends with 0x18") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, args := range [][]string{{"txnlog", "verify"}, {"txnlog", "dump", "-o", "xml", whole}, {"snapshot", "stats"}, {"snapshot", "dump", "a", "b"}} {
		if _, err := runCommand(t, args...); exitCode(err) != exitInvalid {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, err := runCommand(t, "txnlog", "verify", "no-such-file"); exitCode(err) != 1 {
		t.Errorf("missing file: %v", err)
	}
}
