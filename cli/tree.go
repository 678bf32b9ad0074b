package cli

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"zebu/proto"
)

var treeCommands = []command{
	{name: "tree", args: "[path]", help: "draw the subtree", ours: true, run: tree,
		flags: []flag{depthFlag, {"s", "", "with the size of the data"}}},
	{name: "find", args: "[path]", help: "list the nodes of a subtree that meet conditions", ours: true, run: find,
		flags: []flag{depthFlag, {"name", "glob", "the node's name matches"}, {"type", "p|e", "persistent or ephemeral nodes only"},
			{"min", "bytes", "so much data at least"}, {"empty", "", "neither data nor children"}}},
	{name: "grep", args: "pattern [path]", help: "search the data of a subtree for a regular expression", min: 1, ours: true, run: grep,
		flags: []flag{{"i", "", "regardless of case"}, {"F", "", "the pattern is plain text"}, {"l", "", "list the paths only"}, depthFlag}},
	{name: "du", args: "[path]", help: "add up the bytes and nodes of subtrees", ours: true, run: du,
		flags: []flag{{"d", "depth", "print so many levels; 1 by default, 0 for the total alone"}}},
}

var depthFlag = flag{"d", "depth", "go down so many levels at most"}

// pathArg is argument i, the root if there is none.
func (k *call) pathArg(i int) string {
	if i < len(k.args) {
		return k.args[i]
	}
	return "/"
}

// depth is the value of -d.
func (k *call) depth() (int, error) {
	n, err := k.number("d", 0, 32)
	if err == nil && k.has("d") && n < 1 {
		return 0, &usageError{"-d " + k.flags["d"] + ": expected at least 1"}
	}
	return int(n), err
}

func tree(ctx context.Context, k *call) error {
	depth, err := k.depth()
	if err != nil {
		return err
	}
	return k.walk(ctx, k.pathArg(0), walkOptions{depth: depth}, func(n *node) error {
		var b strings.Builder
		for i, last := range n.last {
			switch inner := i < len(n.last)-1; {
			case inner && last:
				b.WriteString("    ")
			case inner:
				b.WriteString("│   ")
			case last:
				b.WriteString("└── ")
			default:
				b.WriteString("├── ")
			}
		}
		name := n.path
		if n.depth > 0 {
			name = path.Base(n.path)
		}
		b.WriteString(name)
		if n.stat.EphemeralOwner != 0 {
			b.WriteString(" (ephemeral)")
		}
		if k.has("s") {
			fmt.Fprintf(&b, " [%d]", n.stat.DataLength)
		}
		return k.emit(nodeJSON{Path: n.path, Stat: statOf(n.stat)}, b.String()+"\n")
	})
}

func find(ctx context.Context, k *call) error {
	depth, err := k.depth()
	if err != nil {
		return err
	}
	least, err := k.number("min", 0, 32)
	if err != nil {
		return err
	}
	glob, kind := k.flags["name"], k.flags["type"]
	if _, err := path.Match(glob, ""); err != nil {
		return &usageError{"-name " + glob + ": not a pattern"}
	}
	if k.has("type") && kind != "p" && kind != "e" {
		return &usageError{"-type " + kind + ": expected p or e"}
	}
	found := false
	err = k.walk(ctx, k.pathArg(0), walkOptions{depth: depth}, func(n *node) error {
		named := true
		if k.has("name") {
			named, _ = path.Match(glob, path.Base(n.path)) // the pattern was checked
		}
		switch {
		case !named,
			kind != "" && (kind == "e") != (n.stat.EphemeralOwner != 0),
			int64(n.stat.DataLength) < least,
			k.has("empty") && (n.stat.DataLength > 0 || len(n.children) > 0):
			return nil
		}
		found = true
		return k.emit(nodeJSON{Path: n.path, Stat: statOf(n.stat)}, n.path+"\n")
	})
	return orNo(err, found)
}

// orNo makes a search that found nothing end with ExitNo.
func orNo(err error, found bool) error {
	if err == nil && !found {
		return errNo
	}
	return err
}

func grep(ctx context.Context, k *call) error {
	depth, err := k.depth()
	if err != nil {
		return err
	}
	expr := k.args[0]
	if k.has("F") {
		expr = regexp.QuoteMeta(expr)
	}
	if k.has("i") {
		expr = "(?i)" + expr
	}
	pattern, err := regexp.Compile(expr)
	if err != nil {
		return &usageError{err.Error()}
	}
	found := false
	err = k.walk(ctx, k.pathArg(1), walkOptions{data: true, depth: depth}, func(n *node) error {
		if !pattern.Match(n.data) {
			return nil
		}
		found = true
		if k.has("l") {
			return k.emit(nodeJSON{Path: n.path}, n.path+"\n")
		}
		if !isText(string(n.data)) {
			return k.emit(nodeJSON{Path: n.path}, n.path+": binary data matches\n")
		}
		for i, line := range bytes.Split(n.data, []byte("\n")) {
			if !pattern.Match(line) {
				continue
			}
			v := struct {
				Path string `json:"path"`
				Line int    `json:"line"`
				Text string `json:"text"`
			}{n.path, i + 1, string(line)}
			if err := k.emit(v, fmt.Sprintf("%s:%d:%s\n", n.path, i+1, line)); err != nil {
				return err
			}
		}
		return nil
	})
	return orNo(err, found)
}

// usage is what a subtree takes.
type usage struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	Nodes int64  `json:"nodes"`
}

func du(ctx context.Context, k *call) error {
	depth, err := k.number("d", 1, 32)
	if err != nil || depth < 0 {
		return &usageError{"-d " + k.flags["d"] + ": expected a number of levels"}
	}
	var all, open []*usage // open are those that contain the node being visited
	err = k.walk(ctx, k.pathArg(0), walkOptions{}, func(n *node) error {
		open = open[:min(len(open), n.depth)]
		if int64(n.depth) <= depth {
			u := &usage{Path: n.path}
			all, open = append(all, u), append(open, u)
		}
		for _, u := range open {
			u.Bytes += int64(n.stat.DataLength)
			u.Nodes++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !k.json {
		if err := k.emit(nil, fmt.Sprintf("%10s %8s  %s\n", "BYTES", "NODES", "PATH")); err != nil {
			return err
		}
	}
	for _, u := range all {
		if err := k.emit(u, fmt.Sprintf("%10s %8s  %s\n", strconv.FormatInt(u.Bytes, 10), strconv.FormatInt(u.Nodes, 10), u.Path)); err != nil {
			return err
		}
	}
	return nil
}

// system says whether path belongs to the servers themselves.
func system(root, path string) bool { return root == "" && below(path, "/zookeeper") }

// sameACL compares lists as sets.
func sameACL(a, b []proto.ACL) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		found := false
		for _, y := range b {
			found = found || x == y
		}
		if !found {
			return false
		}
	}
	return true
}
