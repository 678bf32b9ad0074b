package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keptLines is how many past commands a new shell knows.
const keptLines = 1000

// pastLines are the commands of this run and of those before it, as the line editor wants them.
type pastLines struct {
	file  string // "" keeps them for this run only
	lines []string
}

// newHistory reads the file of past commands, and shortens it if it has grown long. A history that cannot be read or
// kept is no reason to stop.
func newHistory(file string) *pastLines {
	h := &pastLines{file: file}
	if file == "" {
		return h
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return h
	}
	if err != nil {
		h.file = ""
		return h
	}
	for _, line := range bytes.Split(text, []byte("\n")) {
		if len(line) > 0 {
			h.lines = append(h.lines, string(line))
		}
	}
	if n := len(h.lines); n > keptLines {
		h.lines = h.lines[n-keptLines:]
		if n > 2*keptLines {
			_ = os.WriteFile(file, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600)
		}
	}
	return h
}

// Write appends a line. Credentials are kept for this run only.
func (h *pastLines) Write(line string) (int, error) {
	line = strings.TrimSpace(line)
	if line == "" || strings.ContainsAny(line, "\r\n") || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return len(h.lines), nil
	}
	h.lines = append(h.lines, line)
	if h.file == "" || strings.HasPrefix(line, "addauth") {
		return len(h.lines), nil
	}
	if err := os.MkdirAll(filepath.Dir(h.file), 0o700); err != nil {
		h.file = ""
		return len(h.lines), nil
	}
	f, err := os.OpenFile(h.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(line + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		h.file = ""
	}
	return len(h.lines), nil
}

// GetLine returns line number i.
func (h *pastLines) GetLine(i int) (string, error) {
	if i < 0 || i >= len(h.lines) {
		return "", fmt.Errorf("no line %d in the history", i)
	}
	return h.lines[i], nil
}

// Len is the number of lines.
func (h *pastLines) Len() int { return len(h.lines) }

// Dump returns all lines.
func (h *pastLines) Dump() any { return h.lines }
