package cli

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/reeflective/readline"

	"zebu/internal/client"
)

// completionWait is how long Tab waits for a server.
const completionWait = time.Second

// statLimit is how many proposed nodes are asked whether they have children.
const statLimit = 64

// complete proposes what may stand at the cursor: a command, a flag of the command, or a path that exists.
func (s *shell) complete(line []rune, cursor int) readline.Completions {
	values, descriptions := s.candidates(string(line[:cursor]))
	if len(values) == 0 {
		return readline.Completions{}
	}
	if len(values) == 1 && !strings.HasSuffix(values[0], "/") {
		values[0] += " " // nothing else can follow
	}
	pairs := make([]string, 0, 2*len(values))
	for i, v := range values {
		pairs = append(pairs, v, descriptions[i])
	}
	return readline.CompleteValuesDescribed(pairs...)
}

// candidates are the words that may stand where text ends, each with a description that may be empty.
func (s *shell) candidates(text string) (values, descriptions []string) {
	words := strings.Fields(text)
	last := ""
	if len(words) > 0 && !strings.HasSuffix(text, " ") {
		last = words[len(words)-1]
		words = words[:len(words)-1]
	}
	switch {
	case len(words) == 0 || len(words) == 1 && words[0] == "help":
		for _, n := range names() {
			if len(n) >= len(last) && strings.EqualFold(n[:len(last)], last) {
				values, descriptions = append(values, n), append(descriptions, commands[n].help)
			}
		}
	case commands[words[0]] == nil:
	case strings.HasPrefix(last, "-"):
		for _, f := range append(slices.Clone(commands[words[0]].flags), outputFlag) {
			if strings.HasPrefix("-"+f.name, last) {
				values, descriptions = append(values, "-"+f.name), append(descriptions, f.help)
			}
		}
	case strings.HasPrefix(last, "/") || last == "" && strings.Contains(commands[words[0]].args, "path"):
		values = s.paths(last)
		descriptions = make([]string, len(values))
	}
	return values, descriptions
}

// paths lists the nodes whose path begins with prefix, as far as its last level. A slash follows those that have
// children; [withoutSlash] takes it away from what is run.
func (s *shell) paths(prefix string) []string {
	c := s.client()
	if c == nil || !c.State().Alive() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionWait)
	defer cancel()
	dir := parent(prefix)
	children, _, err := c.Children(ctx, dir, false)
	if err != nil {
		return nil // Tab is no place for errors: the command will tell
	}
	var found []string
	for _, name := range children {
		if p := client.Join(dir, name); strings.HasPrefix(p, prefix) {
			found = append(found, p)
		}
	}
	if len(found) > statLimit {
		return found
	}
	var asked sync.WaitGroup
	for i, p := range found {
		asked.Go(func() {
			if st, err := c.Exists(ctx, p, false); err == nil && st.NumChildren > 0 {
				found[i] = p + "/"
			}
		})
	}
	asked.Wait()
	return found
}
