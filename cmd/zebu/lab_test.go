package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zebu/lab"
)

// runLab runs zebu lab with arguments and returns what it prints.
func runLab(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRootCommand()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{"lab"}, args...))
	err := root.Execute()
	return out.String(), err
}

func TestLabRun(t *testing.T) {
	args := []string{"run", "in-flight-none", "reads-quorum", "--seeds", "3", "--protocols", "zab,raft"}
	first, err := runLab(t, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, first)
	}
	if second, _ := runLab(t, args...); second != first {
		t.Errorf("two runs print different tables:\n%s\n%s", first, second)
	}
	for _, want := range []string{"in-flight-none: ", "reads-quorum: ", "3 seeds", "zab", "raft", "time to a leader", "by TRUNC"} {
		if !strings.Contains(first, want) {
			t.Errorf("%q is missing in\n%s", want, first)
		}
	}
	if strings.Contains(first, "prevote") || strings.Contains(first, "stale reads") {
		t.Errorf("what is not there is printed:\n%s", first)
	}
}

func TestLabFiles(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "mine.txt")
	if err := os.WriteFile(mine, []byte("title Mine\nservers 3\nduration 200ms\nwriters 1 every 20ms\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var texts [2][2]string
	for i := range texts {
		page, data := filepath.Join(dir, "page.html"), filepath.Join(dir, "data.json")
		if out, err := runLab(t, "run", mine, "--seeds", "2", "--report", page, "--json", data); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for k, path := range []string{page, data} {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[i][k] = string(text)
		}
	}
	if texts[0] != texts[1] {
		t.Error("two runs write different files")
	}
	var result labResult
	if err := json.Unmarshal([]byte(texts[0][1]), &result); err != nil {
		t.Fatal(err)
	}
	if len(result.Runs) != 3 || len(result.Series) != 3 || result.Runs[0].Scenario != "mine" || len(result.Runs[0].Events) == 0 || result.Cost == "" {
		t.Errorf("%d runs, %d series", len(result.Runs), len(result.Series))
	}
	if !strings.Contains(texts[0][0], "Mine") {
		t.Error("the page does not have the scenario's title")
	}
}

func TestLabList(t *testing.T) {
	out, err := runLab(t, "list")
	if err != nil || strings.Count(out, "\n") != len(lab.Scenarios()) || !strings.Contains(out, "leader-crash") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestLabErrors(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"run nonsense", `no scenario "nonsense"`},
		{"run ./nowhere.txt", "nowhere.txt"},
		{"run steady --protocols paxos", "zab, raft, raft-prevote"},
		{"run steady --seeds 0", "--seeds"},
		{"run steady --servers 99", "1 to 15 servers"},
		{"run one-by-one --servers 3", "no server 4"},
		{"list all", "at most 0"},
	} {
		out, err := runLab(t, strings.Fields(tc.args)...)
		if exitCode(err) != exitInvalid || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("lab %s: %v (%d)\n%s", tc.args, err, exitCode(err), out)
		}
	}
}
