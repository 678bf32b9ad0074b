// Package story runs data-driven tests that read as scenarios: files of commands and the output that they must have.
//
// A line that starts with "> " is a command; the lines after it, up to an empty line, a comment (#) or the next command, are
// its output. With the test flag -update the files are rewritten with the output that came.
package story

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected output of stories and golden files")

// Run plays every file that matches pattern in a subtest of its own. Begin makes a new world; what it returns carries out
// one command, given as words, and returns its output.
func Run(t *testing.T, pattern string, begin func(t *testing.T) func(words []string) string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories %s: %v", pattern, err)
	}
	for _, f := range files {
		base := filepath.Base(f)
		t.Run(strings.TrimSuffix(base, filepath.Ext(base)), func(t *testing.T) { play(t, f, begin(t)) })
	}
}

func play(t *testing.T, file string, run func(words []string) string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := tell(t, string(text), run)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, have := strings.Split(string(text), "\n"), strings.Split(got, "\n")
	for i := range max(len(want), len(have)) {
		if i >= len(want) || i >= len(have) || want[i] != have[i] {
			t.Fatalf("%s:%d:\n got %q\nwant %q\n\nwhole output:\n%s", file, i+1, have[min(i, len(have)-1)], want[min(i, len(want)-1)], got)
		}
	}
}

// tell runs a story and returns it with the output that came.
func tell(t *testing.T, text string, run func(words []string) string) string {
	var out strings.Builder
	command := false
	for line := range strings.Lines(text) {
		c, ok := strings.CutPrefix(strings.TrimSpace(line), "> ")
		switch {
		case ok:
			command = true
			out.WriteString(line)
			out.WriteString(run(strings.Fields(c)))
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
			command = false
			out.WriteString(line)
		case !command:
			t.Fatalf("output without a command: %q", line)
		}
	}
	return out.String()
}
