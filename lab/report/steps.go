package report

import (
	"regexp"
	"strings"

	"zebu/lab"
)

var (
	stepTime = regexp.MustCompile(`^at \S+ (on \S+ )?`)
	factor   = regexp.MustCompile(` x[\d.]+`)
	named    = regexp.MustCompile(`\bserver (\d+)`)
	numbers  = regexp.MustCompile(`\d+`)
	filler   = strings.NewReplacer("servers ", "", "server ", "", ", ", " ", "and ", "")
)

// Steps are a scenario's steps as the diagram has them, in few words: "crash S5" for "at 600ms crash old: server 5". Steps that only give a
// server a name are left out.
func Steps(marks []lab.Mark) []lab.Mark {
	short := []lab.Mark{}
	for _, m := range marks {
		text := stepTime.ReplaceAllString(m.Text, "")
		verb, _, _ := strings.Cut(text, " ")
		if verb == "call" {
			continue
		}
		if asked, said, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(said, "server") {
			text = verb + " " + numbers.ReplaceAllString(filler.Replace(said), "S$0") + factor.FindString(asked)
		}
		text = named.ReplaceAllString(text, "S$1")
		short = append(short, lab.Mark{At: m.At, Text: text})
	}
	return short
}
