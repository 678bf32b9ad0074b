package conf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Setting is a value as given, with its source.
type Setting struct {
	Value  string
	Source Source
}

// Source is where a value came from.
type Source struct {
	Kind SourceKind
	File string // for FromFile
	Line int    // for FromFile the line, for FromArgs the argument, both counted from 1
	Name string // for FromEnv: the variable
}

// SourceKind tells the kinds of sources apart.
type SourceKind int

// Kinds of sources.
const (
	FromDefault SourceKind = iota // ZooKeeper's default
	FromEnv                       // a -D in an environment variable
	FromFlag                      // a -D on the command line
	FromFile                      // zoo.cfg, the dynamic file, myid
	FromArgs                      // ZooKeeperServerMain's arguments
)

// String prints the source for a person: "zoo.cfg:12", "-D", "SERVER_JVMFLAGS", "default".
func (s Source) String() string {
	switch s.Kind {
	case FromEnv:
		return s.Name
	case FromFlag:
		return "-D"
	case FromFile:
		return s.File + ":" + strconv.Itoa(s.Line)
	case FromArgs:
		return fmt.Sprintf("argument %d", s.Line)
	}
	return "default"
}

// hidden is printed for a secret.
const hidden = "(hidden)"

// Error is one fault of a configuration.
type Error struct {
	Source  Source
	Key     string // "" for a fault of no one key
	Value   string // as given, [hidden] for secrets
	Problem string // what was expected, or what is wrong
}

// Error says where the fault is, what was given and what was expected.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Source.Kind != FromDefault {
		b.WriteString(e.Source.String() + ": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key)
		if e.Value != "" || strings.HasPrefix(e.Problem, "expected ") {
			b.WriteString("=" + clip(e.Value))
		}
		b.WriteString(": ")
	}
	return b.String() + e.Problem
}

// Fault is an error about the value of a key that is found out only when the value is used.
func (c *Config) Fault(key, problem string) *Error {
	set := c.settings[key]
	if isSecret(key) && set.Value != "" {
		set.Value = hidden
	}
	return &Error{Source: set.Source, Key: key, Value: set.Value, Problem: problem}
}

// clip shortens a value for a message.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// Errors are all faults found in a configuration, in the order of discovery; never empty.
type Errors []error

// Error prints one fault a line.
func (e Errors) Error() string { return errors.Join(e...).Error() }

// Unwrap returns the faults.
func (e Errors) Unwrap() []error { return e }

// Warning is something in a configuration that will not be as its writer may think.
type Warning struct {
	Source  Source
	Key     string
	Message string
}

// String prints the warning on one line.
func (w Warning) String() string { return w.Source.String() + ": " + w.Key + ": " + w.Message }

// Warnings returns what [Load] found to warn about.
func (c *Config) Warnings() []Warning { return c.warnings }
