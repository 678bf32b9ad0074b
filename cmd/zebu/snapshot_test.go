package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestSnapshotDump(t *testing.T) {
	for _, name := range []string{"snapshot.18", "snapshot.18.gz", "snapshot.18.snappy"} {
		out, err := runCommand(t, "snapshot", "dump", "--data", filepath.Join(goldenDir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"session 0x100001b10a40000 timeout 10s\n",
			"acl 3 digest:u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=:cdrwa,world:anyone:r\n",
			"node / 0 bytes \"\" acl -1 czxid 0x0",
			"node /app 5 bytes \"multi\" acl 2 czxid 0x3 mzxid 0x10 pzxid 0x18 mtime 2026-11-21T03:03:29.268Z version 2 cversion 6 aversion 0\n",
			"owner 0x100001b10a40000\n",
			"last zxid 0x18\n",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", name, want, out)
			}
		}
	}
	out, err := runCommand(t, "snapshot", "dump", "-o", "json", filepath.Join(goldenDir, "snapshot.18"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var tail tailView
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &tail); err != nil || tail.Digest != "0x6c29cfd1e" || tail.LastZxid != "0x18" {
		t.Errorf("%+v, %v", tail, err)
	}
}

func TestSnapshotVerify(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(goldenDir, "snapshot.*"))
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	out, err := runCommand(t, append([]string{"snapshot", "verify"}, files...)...)
	if err != nil || strings.Count(out, ": ok\n") != 4 {
		t.Errorf("%v\n%s", err, out)
	}
	for _, name := range []string{"snapshot.18", "snapshot.18.gz", "snapshot.18.snappy"} {
		bad := damaged(t, name, 300)
		out, err := runCommand(t, "snapshot", "verify", bad)
		if exitCode(err) != 1 || !strings.HasPrefix(out, "DAMAGED: "+bad) {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func TestSnapshotStats(t *testing.T) {
	out, err := runCommand(t, "snapshot", "stats", "-o", "json", filepath.Join(goldenDir, "snapshot.18"))
	if err != nil {
		t.Fatal(err)
	}
	var s snapshotStats
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	if s.Nodes != 14 || s.DataBytes != 315 || s.Sessions != 1 || s.ACLs != 3 || s.Ephemerals != 1 || s.Largest != "/app/a" ||
		s.Top["/app"].Nodes != 4 || s.Top["/zookeeper"].Nodes != 3 {
		t.Errorf("%s", out)
	}
	out, err = runCommand(t, "snapshot", "stats", filepath.Join(goldenDir, "snapshot.0"))
	if err != nil || !strings.Contains(out, "nodes       4, at most 2 deep\n") || !strings.Contains(out, "  /zookeeper\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
