// Command gotest runs "go test" with its arguments and prints what go test would, but never hides what was left out:
// after the packages it lists every skipped test with its reason. make test uses it, so that a machine without Java or
// Python says so.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	failed, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	if failed || err != nil {
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) (failed bool, err error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return true, err
	}
	if err := cmd.Start(); err != nil {
		return true, err
	}
	r := reporter{out: out, output: map[test][]string{}, skipped: map[string][]test{}}
	if err := r.read(events); err != nil {
		return true, errors.Join(err, cmd.Wait())
	}
	r.summary()
	return cmd.Wait() != nil, nil
}

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// test names a test; Name is "" for what belongs to the whole package.
type test struct{ Package, Name string }

// reporter keeps the output of running tests until it is known whether anyone wants it.
type reporter struct {
	out     io.Writer
	output  map[test][]string
	skipped map[string][]test // by reason
}

func (r *reporter) read(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			fmt.Fprintf(r.out, "%s", line) // not one of test2json's
			continue
		}
		r.take(e)
	}
}

func (r *reporter) take(e event) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if e.Test == "" && e.Output == "PASS\n" {
			return
		}
		r.output[t] = append(r.output[t], e.Output)
	case "pass":
		r.finish(t, e.Test == "")
	case "fail":
		if e.Test == "" {
			r.unfinished(e.Package)
		}
		r.finish(t, true)
	case "skip":
		if e.Test != "" {
			why := reason(r.output[t])
			r.skipped[why] = append(r.skipped[why], t)
		}
		r.finish(t, e.Test == "")
	}
}

// unfinished shows what the tests of a package have printed that did not come to an end: why the process did says one of them.
func (r *reporter) unfinished(pkg string) {
	var left []test
	for t := range r.output {
		if t.Package == pkg && t.Name != "" {
			left = append(left, t)
		}
	}
	slices.SortFunc(left, func(a, b test) int { return strings.Compare(a.Name, b.Name) })
	for _, t := range left {
		r.finish(t, true)
	}
}

// finish forgets a test's output, having printed it if asked.
func (r *reporter) finish(t test, show bool) {
	if show {
		fmt.Fprint(r.out, strings.Join(r.output[t], ""))
	}
	delete(r.output, t)
}

// reason is what a test gave to Skip: the last line that is not one of the framework's.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if file, text, ok := strings.Cut(line, ": "); ok && strings.Contains(file, ".go:") {
			return text
		}
		return line
	}
	return "no reason given"
}

// summary lists what was skipped, by reason.
func (r *reporter) summary() {
	if len(r.skipped) == 0 {
		return
	}
	fmt.Fprintln(r.out, "\n*** LEFT OUT:")
	for _, why := range slices.Sorted(maps.Keys(r.skipped)) {
		fmt.Fprintf(r.out, "***   %s\n", why)
		for _, t := range r.skipped[why] {
			fmt.Fprintf(r.out, "***       %s %s\n", t.Package, t.Name)
		}
	}
}
