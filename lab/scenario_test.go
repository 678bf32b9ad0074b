package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAllScenariosParse: [Scenarios] passes over a file that it cannot read.
func TestAllScenariosParse(t *testing.T) {
	paths, err := filepath.Glob("scenarios/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := ParseScenario(filepath.Base(path), string(text))
		if err != nil {
			t.Error(err)
			continue
		}
		if sc.Title == sc.Name || len(sc.About) < 60 {
			t.Errorf("%s says too little of itself", path)
		}
	}
	if len(paths) < 20 || len(Scenarios()) != len(paths) {
		t.Errorf("%d files, %d scenarios", len(paths), len(Scenarios()))
	}
}

func TestScenarioErrors(t *testing.T) {
	for text, want := range map[string]string{
		"servers many":                     "line 1",
		"servers 0":                        "1 to 15 servers",
		"title x\nnonsense":                "line 2: \"nonsense\"",
		"duration 5":                       "no time",
		"duration 1h":                      "10 minutes",
		"writers x closed":                 "number of clients",
		"writers 1":                        "what they do",
		"writers 1 every":                  "a value after",
		"writers 1 wildly fast":            "means nothing",
		"readers 1 often":                  "local, leader or quorum",
		"readers 1 local home 9":           "existing servers",
		"at noon crash leader":             "no time",
		"at 1s explode leader":             "nothing that can be done",
		"at 1s crash":                      "expected servers",
		"at 1s crash server 9":             "no server 9",
		"at 1s crash him":                  "\"him\" is no server",
		"at 1s on doubt crash leader":      "no moment",
		"at 1s burst lots":                 "no number of writes",
		"at 1s flap leader times 2":        "off TIME",
		"retain 10":                        "at least 500",
		"timeout 100ms":                    "at least 2 heartbeats",
		"skip 1s":                          "two times",
		"at 1s crash server":               "which server",
		"at 1s":                            "what happens",
		"at 1s disk leader x0":             "is no server",
		"at 1s call leader a\nat 2s cut b": "\"b\" is no server",
	} {
		if _, err := ParseScenario("s", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected %q", text, err, want)
		}
	}
}

// TestReadmeHasEveryWord: the format's description names all that the parser takes.
func TestReadmeHasEveryWord(t *testing.T) {
	text, err := os.ReadFile("scenarios/README.md")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields("title about cold servers spares retain snapshot size duration latency fsync heartbeat timeout skip writers readers " +
		"closed spread once every think from until home local leader quorum propose commit lead followers others all down spares")
	for _, v := range verbs() {
		words = append(words, v.name)
	}
	for _, w := range words {
		if !strings.Contains(string(text), w) {
			t.Errorf("scenarios/README.md does not have %q", w)
		}
	}
}

func FuzzParseScenario(f *testing.F) {
	for _, sc := range Scenarios() {
		f.Add(sc.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sc, err := ParseScenario("fuzz", text)
		if err != nil || sc.Duration > 50*Millisecond || len(sc.Groups) > 2 {
			return
		}
		for _, g := range sc.Groups {
			if g.Count > 4 || g.Every > 0 && g.Every < Millisecond {
				return
			}
		}
		if _, err := Execute(sc, ZAB, 1, false); err != nil {
			t.Fatal(err)
		}
	})
}
