package gateway

import (
	"errors"
	"io"
)

// errTooLong ends a stream of JSON.
var errTooLong = errors.New("a message is too long")

// messages reads a stream of JSON values of which none may be longer than a limit: whoever decodes them needs each as a whole in memory.
type messages struct {
	io.ReadCloser
	limit  int64
	size   int64 // of the value so far, in bytes, with what was before it
	depth  int   // of brackets
	quoted bool
	escape bool
}

// Read implements io.Reader.
func (m *messages) Read(b []byte) (int, error) {
	n, err := m.ReadCloser.Read(b)
	for _, c := range b[:n] {
		if m.size++; m.size > m.limit {
			return 0, errTooLong
		}
		m.step(c)
	}
	return n, err
}

func (m *messages) step(c byte) {
	switch {
	case m.escape:
		m.escape = false
	case m.quoted:
		m.escape, m.quoted = c == '\\', c != '"'
	case c == '"':
		m.quoted = true
	case c == '{' || c == '[':
		m.depth++
	case c == '}' || c == ']':
		if m.depth--; m.depth <= 0 {
			m.depth, m.size = 0, 0
		}
	}
}
