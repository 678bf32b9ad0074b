package jaas

import (
	"fmt"
	"strings"
)

// Error says where a file is wrong.
type Error struct {
	File string
	Line int // from 1
	Text string
}

// Error gives file and line in the form that editors jump to.
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }

// Parse reads the text of a file; name is for errors, which are of type *[Error].
func Parse(name string, text []byte) (f File, err error) {
	p := &parser{name: name, text: text, line: 1}
	f = make(File)
	for p.next(); p.err == nil && p.kind != endOfFile; {
		section, line := p.token, p.line
		modules := p.section()
		if _, ok := f[section]; ok && p.err == nil {
			p.fail(line, "section %s is defined twice", section)
		}
		f[section] = modules
	}
	if p.err != nil {
		return nil, p.err
	}
	return f, nil
}

type tokenKind int

const (
	endOfFile tokenKind = iota
	word                // bare or quoted
	punctuation
)

// parser holds one token of look-ahead. After the first error every token is the end of the file.
type parser struct {
	name  string
	text  []byte
	off   int
	line  int
	kind  tokenKind
	token string
	err   error
}

func (p *parser) fail(line int, format string, args ...any) {
	if p.err == nil {
		p.err = &Error{p.name, line, fmt.Sprintf(format, args...)}
	}
	p.kind, p.token = endOfFile, ""
}

// section reads NAME { module... };
func (p *parser) section() Section {
	p.word("the name of a section")
	p.punctuation("{")
	var s Section
	for p.err == nil && (p.kind != punctuation || p.token != "}") {
		s = append(s, p.module())
	}
	p.punctuation("}")
	p.punctuation(";")
	return s
}

// module reads CLASS FLAG option=value... ;
func (p *parser) module() Module {
	m := Module{Line: p.line, Options: make(map[string]string)}
	m.Class = p.word("the class of a login module, or }")
	line := p.line
	m.Flag = strings.ToLower(p.word("a flag: required, requisite, sufficient or optional"))
	switch m.Flag {
	case "required", "requisite", "sufficient", "optional":
	default:
		p.fail(line, "%q is no flag: want required, requisite, sufficient or optional", m.Flag)
	}
	for p.err == nil && p.kind == word {
		option := p.word("an option")
		p.punctuation("=")
		m.Options[option] = p.word("the value of " + option)
	}
	p.punctuation(";")
	return m
}

// word returns the token, which must be a word, and moves on.
func (p *parser) word(what string) string {
	if p.kind != word {
		p.unexpected(what)
		return ""
	}
	s := p.token
	p.next()
	return s
}

// punctuation moves past the token, which must be s.
func (p *parser) punctuation(s string) {
	if p.kind != punctuation || p.token != s {
		p.unexpected(s)
		return
	}
	p.next()
}

func (p *parser) unexpected(want string) {
	found := fmt.Sprintf("%q", p.token)
	if p.kind == endOfFile {
		found = "the end of the file"
	}
	p.fail(p.line, "found %s, want %s", found, want)
}

// next reads the next token.
func (p *parser) next() {
	if p.err != nil {
		return
	}
	p.skipSpace()
	if p.off >= len(p.text) {
		p.kind, p.token = endOfFile, ""
		return
	}
	switch c := p.text[p.off]; {
	case c == '"':
		p.quoted()
	case isWord(c):
		start := p.off
		for p.off < len(p.text) && isWord(p.text[p.off]) {
			p.off++
		}
		p.kind, p.token = word, string(p.text[start:p.off])
	default:
		p.off++
		p.kind, p.token = punctuation, string(c)
	}
}

// isWord says whether c may stand in a word without quotes.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-$*", c) >= 0 || c >= 0x80
}

// skipSpace moves past white space and comments.
func (p *parser) skipSpace() {
	for p.off < len(p.text) {
		rest := p.text[p.off:]
		switch {
		case rest[0] == '\n':
			p.line++
			p.off++
		case rest[0] <= ' ':
			p.off++
		case len(rest) > 1 && rest[0] == '/' && rest[1] == '/':
			end := strings.IndexByte(string(rest), '\n')
			if end < 0 {
				end = len(rest)
			}
			p.off += end
		case len(rest) > 1 && rest[0] == '/' && rest[1] == '*':
			end := strings.Index(string(rest[2:]), "*/")
			if end < 0 {
				p.fail(p.line, "the comment is not closed")
				p.off = len(p.text)
				return
			}
			p.line += strings.Count(string(rest[:end+2]), "\n")
			p.off += end + 4
		default:
			return
		}
	}
}

// quoted reads a string in double quotes, with Java's escapes; it must end on its line unless a backslash precedes the
// line's end.
func (p *parser) quoted() {
	var b strings.Builder
	for p.off++; p.off < len(p.text); p.off++ {
		switch c := p.text[p.off]; c {
		case '"':
			p.off++
			p.kind, p.token = word, b.String()
			return
		case '\n':
			p.fail(p.line, "the string is not closed")
			return
		case '\\':
			if p.off++; p.off < len(p.text) {
				b.WriteByte(p.escape())
			}
		default:
			b.WriteByte(c)
		}
	}
	p.fail(p.line, "the string is not closed")
}

// escape returns what the escape means whose first character after the backslash is at p.off, and leaves p.off on its
// last.
func (p *parser) escape() byte {
	c := p.text[p.off]
	if c == '\n' {
		p.line++
	}
	if i := strings.IndexByte("abfnrtv", c); i >= 0 {
		return "\a\b\f\n\r\t\v"[i]
	}
	if c < '0' || c > '7' {
		return c
	}
	digits := 2 // a third only fits a byte after 0 to 3
	if c <= '3' {
		digits = 3
	}
	v := c - '0'
	for ; digits > 1 && p.off+1 < len(p.text) && p.text[p.off+1] >= '0' && p.text[p.off+1] <= '7'; digits-- {
		p.off++
		v = v<<3 | (p.text[p.off] - '0')
	}
	return v
}
