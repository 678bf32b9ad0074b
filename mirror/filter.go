package mirror

import (
	"fmt"
	"path"
	"strings"
)

// filter chooses nodes by patterns on their paths below the source's root. In a pattern * and ? stand for characters of one
// name, [a-z] for one of a class, and ** for any number of names. A pattern that does not begin with / may begin anywhere.
type filter struct {
	include, exclude []pattern
}

// pattern is its names.
type pattern []string

func newFilter(include, exclude []string) (*filter, error) {
	var f filter
	for _, list := range []struct {
		from []string
		to   *[]pattern
	}{{include, &f.include}, {exclude, &f.exclude}} {
		for _, s := range list.from {
			p, err := parsePattern(s)
			if err != nil {
				return nil, err
			}
			*list.to = append(*list.to, p)
		}
	}
	return &f, nil
}

func parsePattern(s string) (pattern, error) {
	text := strings.TrimSuffix(s, "/")
	if text == "" {
		return nil, fmt.Errorf("pattern %q is empty", s)
	}
	if text[0] != '/' {
		text = "/**/" + text
	}
	p := pattern(strings.Split(text[1:], "/"))
	for _, name := range p {
		if name == "" {
			return nil, fmt.Errorf("pattern %q has an empty name", s)
		}
		if _, err := path.Match(name, ""); err != nil {
			return nil, fmt.Errorf("pattern %q: %w", s, err)
		}
	}
	return p, nil
}

func names(p string) []string {
	if p == "/" {
		return nil
	}
	return strings.Split(p[1:], "/")
}

// match says how p relates to a path: whole, if it matches the path or one above it; leads, if it may match something below.
func (p pattern) match(names []string) (whole, leads bool) {
	if len(p) == 0 {
		return true, true
	}
	if p[0] == "**" {
		if whole, _ = p[1:].match(names); whole {
			return true, true
		}
		if len(names) == 0 {
			return false, true
		}
		return p.match(names[1:])
	}
	if len(names) == 0 {
		return false, true
	}
	if ok, err := path.Match(p[0], names[0]); err != nil || !ok {
		return false, false
	}
	return p[1:].match(names[1:])
}

// selects says whether the node is to be copied, and whether it must be walked through because something below it may be.
func (f *filter) selects(path string) (selected, leads bool) {
	n := names(path)
	for _, p := range f.exclude {
		if whole, _ := p.match(n); whole {
			return false, false
		}
	}
	if len(f.include) == 0 {
		return true, true
	}
	for _, p := range f.include {
		whole, more := p.match(n)
		if whole {
			return true, true
		}
		leads = leads || more
	}
	return false, leads
}
