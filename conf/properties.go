package conf

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// property is one key and value of a Java properties file.
type property struct {
	key, value string
	line       int // where the key stands, counted from 1
	from, to   int // the bytes of the text that the logical line takes, without its line end
}

// parseProperties reads the syntax of java.util.Properties: Latin-1 bytes, "#" and "!" comments, "=", ":" or white
// space between key and value, backslash escapes and continued lines. Duplicates are kept, in order. A malformed \u
// escape, the only fault there is, is reported with its line; the other lines are read all the same.
func parseProperties(text []byte) (props []property, faults []lineFault) {
	r := lineReader{text: text, line: 1}
	for {
		logical, line, from, ok := r.next()
		if !ok {
			return props, faults
		}
		rawKey, rawValue := splitProperty(logical)
		key, err := unescape(rawKey)
		if err != nil {
			faults = append(faults, lineFault{line, err})
			continue
		}
		value, err := unescape(rawValue)
		if err != nil {
			faults = append(faults, lineFault{line, fmt.Errorf("%s: %w", key, err)})
			continue
		}
		props = append(props, property{key: key, value: value, line: line, from: from, to: r.end})
	}
}

// lineFault is a line that cannot be read.
type lineFault struct {
	line int
	err  error
}

// lineReader joins natural lines into logical ones.
type lineReader struct {
	text []byte
	pos  int
	line int // of text[pos]
	end  int // of the last natural line read, before its line end
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\f' }

// next returns the next logical line without its leading white space, and the natural line and the byte where it starts.
// Comments and empty lines are skipped. Like Java's, a line continued onto nothing may itself be a comment.
func (r *lineReader) next() (logical []byte, line, from int, ok bool) {
	var buf []byte
	continued := false
	for r.pos < len(r.text) {
		r.skipBlanks(!continued)
		if r.pos == len(r.text) {
			break
		}
		if c := r.text[r.pos]; len(buf) == 0 && (c == '#' || c == '!') {
			r.skipComment()
			continued = false
			continue
		}
		if len(buf) == 0 {
			line, from = r.line, r.pos
		}
		natural, more := r.natural()
		buf = append(buf, natural...)
		if !more && len(buf) > 0 || more && r.pos == len(r.text) { // a lone backslash at the very end: an empty key
			return buf, line, from, true
		}
		continued = more
	}
	return buf, line, from, len(buf) > 0
}

// skipBlanks skips white space, and line ends too if asked.
func (r *lineReader) skipBlanks(lineEnds bool) {
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; {
		case isBlank(c):
			r.pos++
		case lineEnds && (c == '\n' || c == '\r'):
			r.lineEnd()
		default:
			return
		}
	}
}

// skipComment skips to the end of the line.
func (r *lineReader) skipComment() {
	for r.pos < len(r.text) && r.text[r.pos] != '\n' && r.text[r.pos] != '\r' {
		r.pos++
	}
}

// lineEnd steps over one line end: \n, \r or \r\n.
func (r *lineReader) lineEnd() {
	if r.text[r.pos] == '\r' && r.pos+1 < len(r.text) && r.text[r.pos+1] == '\n' {
		r.pos++
	}
	r.pos++
	r.line++
}

// natural returns the rest of the natural line and whether a backslash, which it drops, continues it.
func (r *lineReader) natural() (rest []byte, more bool) {
	start, escaped := r.pos, false
	for r.pos < len(r.text) && r.text[r.pos] != '\n' && r.text[r.pos] != '\r' {
		escaped = r.text[r.pos] == '\\' && !escaped
		r.pos++
	}
	rest, r.end = r.text[start:r.pos], r.pos
	if escaped {
		rest = rest[:len(rest)-1]
	}
	if r.pos < len(r.text) {
		r.lineEnd()
	}
	return rest, escaped
}

// splitProperty cuts a logical line at the first separator that is not escaped.
func splitProperty(line []byte) (key, value []byte) {
	end, escaped, separated := 0, false, false
	for ; end < len(line); end++ {
		c := line[end]
		if !escaped && (c == '=' || c == ':') {
			separated = true
			break
		}
		if !escaped && isBlank(c) {
			break
		}
		escaped = c == '\\' && !escaped
	}
	start := min(end+1, len(line))
	for ; start < len(line); start++ {
		c := line[start]
		if !isBlank(c) {
			if separated || (c != '=' && c != ':') {
				break
			}
			separated = true
		}
	}
	return line[:end], line[start:]
}

// unescape decodes Latin-1 and the backslash escapes.
func unescape(raw []byte) (string, error) {
	var b strings.Builder
	var units []uint16 // \u escapes not yet written: a surrogate pair takes two
	flush := func() {
		b.WriteString(string(utf16.Decode(units)))
		units = units[:0]
	}
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\\' && i+1 < len(raw) {
			i++
			c = raw[i]
			if c == 'u' {
				unit, err := unicodeEscape(raw[i+1:])
				if err != nil {
					return "", err
				}
				units = append(units, unit)
				i += 4
				continue
			}
			if at := strings.IndexByte("trnf", c); at >= 0 {
				c = "\t\r\n\f"[at]
			}
		}
		flush()
		b.WriteRune(rune(c))
	}
	flush()
	return b.String(), nil
}

// unicodeEscape reads the four digits of a \u escape.
func unicodeEscape(digits []byte) (uint16, error) {
	var unit uint16
	if len(digits) < 4 {
		return 0, fmt.Errorf(`\u%s: expected four hexadecimal digits after \u`, digits)
	}
	for _, d := range digits[:4] {
		v := strings.IndexByte("0123456789abcdef", d|0x20)
		if v < 0 || d < '0' {
			return 0, fmt.Errorf(`\u%s: expected four hexadecimal digits after \u`, digits[:4])
		}
		unit = unit<<4 | uint16(v)
	}
	return unit, nil
}
