package report

import (
	"flag"
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the measures of docs/zab-vs-raft.html into docs/zab-vs-raft.md")

const (
	docFile    = "../../docs/zab-vs-raft.md"
	reportFile = "../../docs/zab-vs-raft.html"
	// maxReport is what a committed report may take, in bytes.
	maxReport = 1_500_000
)

var (
	measuredBlock = regexp.MustCompile(`(?s)<!-- measured ([\w-]+): ([^\n]*?) -->\n.*?<!-- end -->`)
	sectionOf     = regexp.MustCompile(`(?s)<section id="([\w-]+)" class="scenario">(.*?)</section>`)
	columnsOf     = regexp.MustCompile(`<th scope="colgroup" colspan="3">(.*?)</th>`)
	rowOf         = regexp.MustCompile(`<tr><th scope="row">(.*?)</th>(.*?)</tr>`)
	cellOf        = regexp.MustCompile(`<td class="n"[^>]*>(.*?)</td><td class="n">(.*?)</td><td`)
	linkOf        = regexp.MustCompile(`\]\(zab-vs-raft\.html#([\w-]+)\)`)
)

// TestDocument holds the numbers of docs/zab-vs-raft.md to those of the report beside it, and its links to scenarios that are there.
func TestDocument(t *testing.T) {
	page, err := os.ReadFile(reportFile)
	must(t, err)
	if len(page) > maxReport {
		t.Errorf("%s has %d bytes, at most %d should be committed", reportFile, len(page), maxReport)
	}
	doc, err := os.ReadFile(docFile)
	must(t, err)
	sections := map[string]string{}
	for _, m := range sectionOf.FindAllStringSubmatch(string(page), -1) {
		sections[m[1]] = m[2]
	}
	linked := map[string]bool{}
	for _, m := range linkOf.FindAllStringSubmatch(string(doc), -1) {
		linked[m[1]] = true
		if sections[m[1]] == "" {
			t.Errorf("there is no scenario %s in the report", m[1])
		}
	}
	for name := range sections {
		if !linked[name] {
			t.Errorf("scenario %s shows no claim", name)
		}
	}
	blocks := 0
	renewed := measuredBlock.ReplaceAllStringFunc(string(doc), func(block string) string {
		blocks++
		m := measuredBlock.FindStringSubmatch(block)
		table, err := measuredTable(sections[m[1]], strings.Split(m[2], "; "))
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
			return block
		}
		return fmt.Sprintf("<!-- measured %s: %s -->\n%s<!-- end -->", m[1], m[2], table)
	})
	switch {
	case blocks < 10:
		t.Errorf("only %d tables of measures", blocks)
	case renewed == string(doc):
	case *update:
		must(t, os.WriteFile(docFile, []byte(renewed), 0o644))
	default:
		t.Errorf("%s has other numbers than the report: go test ./lab/report -run TestDocument -update", docFile)
	}
}

// measuredTable is a table of some measures of a scenario's section, median and 99th percentile.
func measuredTable(section string, titles []string) (string, error) {
	var b strings.Builder
	names := columnsOf.FindAllStringSubmatch(section, -1)
	if len(names) == 0 {
		return "", fmt.Errorf("there are no measures in the report")
	}
	b.WriteString("\n| |")
	for _, n := range names {
		b.WriteString(" " + html.UnescapeString(n[1]) + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(names)) + "\n")
	rows := map[string]string{}
	for _, r := range rowOf.FindAllStringSubmatch(section, -1) {
		rows[html.UnescapeString(r[1])] = r[2]
	}
	for _, title := range titles {
		row, ok := rows[title]
		if !ok {
			return "", fmt.Errorf("%q is not measured", title)
		}
		b.WriteString("| " + title + " |")
		for _, c := range cellOf.FindAllStringSubmatch(row, -1) {
			if c[1] == c[2] {
				fmt.Fprintf(&b, " %s |", html.UnescapeString(c[1]))
				continue
			}
			fmt.Fprintf(&b, " %s (%s) |", html.UnescapeString(c[1]), html.UnescapeString(c[2]))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	return b.String(), nil
}
