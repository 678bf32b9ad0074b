package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// command is one command of the shell.
type command struct {
	name    string
	args    string // arguments as the usage shows them
	help    string // one line
	flags   []flag
	min     int  // arguments at least
	local   bool // needs no session
	noFlags bool // words with a dash are arguments
	ours    bool // not one of zkCli's
	run     func(context.Context, *call) error
}

// Flags that several commands share.
var (
	statFlag    = flag{"s", "", "print the node's metadata too"}
	watchFlag   = flag{"w", "", "set a one-shot watch"}
	versionFlag = flag{"v", "version", "only if the node has this version"}
	fileFlag    = flag{"f", "file", "take the data from a file, - for standard input"}
)

// commands is the shell's vocabulary, by name.
var commands map[string]*command

func init() {
	commands = map[string]*command{}
	for _, list := range [][]command{nodeCommands, aclCommands, watchCommands, quotaCommands, ensembleCommands, shellCommands, treeCommands, transferCommands} {
		for i := range list {
			commands[list[i].name] = &list[i]
		}
	}
}

// names lists the commands in order.
func names() []string { return slices.Sorted(maps.Keys(commands)) }

// synopsis is the command with its flags and arguments.
func (c *command) synopsis() string {
	var b strings.Builder
	b.WriteString(c.name)
	for _, f := range c.flags {
		b.WriteString(" [-" + f.name)
		if f.value != "" {
			b.WriteString(" " + f.value)
		}
		b.WriteString("]")
	}
	if c.args != "" {
		b.WriteString(" " + c.args)
	}
	return b.String()
}

// wrong is the error for a wrong number of arguments.
func (c *command) wrong() error { return &usageError{"Usage: " + c.synopsis()} }

// nearest is a command that name may have been meant to be, "" if none is near.
func nearest(name string) string {
	for _, n := range names() {
		if strings.EqualFold(n, name) {
			return n
		}
	}
	best, least := "", 3
	for _, n := range names() {
		if d := distance(strings.ToLower(n), strings.ToLower(name)); d < least && d < len(name) {
			best, least = n, d
		}
	}
	return best
}

// distance counts the letters to insert, remove or replace between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, before+1)
		}
	}
	return row[len(b)]
}

// help prints the commands, or one with its flags.
func help(_ context.Context, k *call) error {
	var b strings.Builder
	if len(k.args) > 0 {
		c := commands[k.args[0]]
		if c == nil {
			return &unknownCommand{k.args[0]}
		}
		fmt.Fprintf(&b, "%s\n  %s\n", c.synopsis(), c.help)
		for _, f := range append(slices.Clone(c.flags), outputFlag) {
			fmt.Fprintf(&b, "  -%-14s %s\n", strings.TrimSpace(f.name+" "+f.value), f.help)
		}
		return k.emit(map[string]string{"command": c.name, "usage": c.synopsis(), "help": c.help}, b.String())
	}
	for _, ours := range []bool{false, true} {
		if ours {
			b.WriteString("\nNot in zkCli:\n")
		}
		for _, n := range names() {
			if c := commands[n]; c.ours == ours {
				fmt.Fprintf(&b, "  %-22s %s\n", n, c.help)
			}
		}
	}
	b.WriteString("\nhelp COMMAND shows a command's flags.\n")
	return k.emit(names(), b.String())
}
