package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"zebu/internal/client"
	"zebu/proto"
)

var transferCommands = []command{
	{name: "export", args: "path [file]", help: "write a subtree as JSON or YAML", min: 1, ours: true, run: export,
		flags: []flag{{"format", "json|yaml", "the format; else the file's name tells, and JSON is the default"}, {"a", "", "with ACLs"},
			{"e", "", "with ephemeral nodes"}}},
	{name: "import", args: "file [path]", help: "make a subtree what an export says", min: 1, ours: true, run: importTree,
		flags: []flag{{"n", "", "only say what would be done"}, {"d", "", "delete what the file has not"}}},
	{name: "diff", args: "path [path2]", help: "compare two subtrees, or one with an export or another server", min: 1, ours: true, run: diff,
		flags: []flag{{"f", "file", "the second is an export"}, {"server", "host:port,…", "the second is on another server"}, {"a", "", "compare ACLs too"}}},
}

// document is an exported subtree: its nodes by path, seen from Root.
type document struct {
	Root  string         `json:"root" yaml:"root"`
	Nodes []documentNode `json:"nodes" yaml:"nodes"`
}

// documentNode is a node of a document: its data as text or, if it is none, in Base64; null if both are absent.
type documentNode struct {
	Path   string    `json:"path" yaml:"path"`
	Data   *string   `json:"data,omitempty" yaml:"data,omitempty"`
	Base64 *string   `json:"base64,omitempty" yaml:"base64,omitempty"`
	ACL    []aclJSON `json:"acl,omitempty" yaml:"acl,omitempty"`
}

// content is a node as transfers compare it.
type content struct {
	data      []byte
	acl       []proto.ACL // nil if it does not matter
	ephemeral bool
}

// subtree reads what is at and below a path, by relative path. Ephemeral nodes belong to their sessions and are left out
// unless asked for, ZooKeeper's own nodes always.
func subtree(ctx context.Context, c *client.Client, root string, acl, ephemerals bool) (map[string]content, error) {
	nodes := map[string]content{}
	err := walkFrom(ctx, c, root, walkOptions{data: true, acl: acl}, func(n *node) error {
		switch {
		case n.path != root && system(c.Root(), n.path):
		case n.stat.EphemeralOwner != 0 && !ephemerals:
		default:
			nodes[relative(root, n.path)] = content{n.data, n.acl, n.stat.EphemeralOwner != 0}
		}
		return nil
	})
	return nodes, err
}

// relative is path seen from root: "/" for root itself.
func relative(root, path string) string {
	if path == root {
		return "/"
	}
	return path[len(strings.TrimSuffix(root, "/")):]
}

// absolute is the reverse of relative.
func absolute(root, path string) string {
	if path == "/" {
		return root
	}
	return strings.TrimSuffix(root, "/") + path
}

// order lists paths with parents first.
func order(nodes map[string]content) []string {
	paths := make([]string, 0, len(nodes))
	for p := range nodes {
		paths = append(paths, p)
	}
	slices.SortFunc(paths, func(a, b string) int {
		return cmp.Or(cmp.Compare(levels(a), levels(b)), cmp.Compare(a, b))
	})
	return paths
}

func levels(path string) int {
	if path == "/" {
		return 0
	}
	return strings.Count(path, "/")
}

func export(ctx context.Context, k *call) error {
	format := k.flags["format"]
	if format == "" && len(k.args) > 1 {
		format = formatOf(k.args[1])
	}
	if format == "" {
		format = "json"
	}
	if format != "json" && format != "yaml" {
		return &usageError{"-format " + format + ": expected json or yaml"}
	}
	root := k.args[0]
	nodes, err := subtree(ctx, k.c, root, k.has("a"), k.has("e"))
	if err != nil {
		return err
	}
	doc := document{Root: root, Nodes: make([]documentNode, 0, len(nodes))}
	paths := order(nodes)
	slices.Sort(paths)
	for _, p := range paths {
		n := documentNode{Path: p}
		var v nodeJSON
		v.setData(nodes[p].data)
		n.Data, n.Base64 = v.Data, v.Base64
		if k.has("a") {
			n.ACL = aclsOf(nodes[p].acl)
		}
		doc.Nodes = append(doc.Nodes, n)
	}
	text, err := encode(doc, format)
	if err != nil {
		return err
	}
	if len(k.args) < 2 || k.args[1] == "-" {
		_, err := k.out.Write(text)
		return err
	}
	if err := os.WriteFile(k.args[1], text, 0o600); err != nil { // data may be secret
		return err
	}
	if k.json {
		return k.emit(map[string]any{"path": root, "file": k.args[1], "nodes": len(doc.Nodes)}, "")
	}
	k.note("Wrote %d nodes to %s", len(doc.Nodes), k.args[1])
	return nil
}

// formatOf tells the format from a file's name, "" if it does not say.
func formatOf(file string) string {
	switch filepath.Ext(file) {
	case ".yaml", ".yml":
		return "yaml"
	case ".json":
		return "json"
	}
	return ""
}

func encode(doc document, format string) ([]byte, error) {
	var b bytes.Buffer
	if format == "yaml" {
		e := yaml.NewEncoder(&b)
		e.SetIndent(2)
		err := errors.Join(e.Encode(doc), e.Close())
		return b.Bytes(), err
	}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(doc)
	return b.Bytes(), err
}

// decode reads an export of either format: JSON is YAML too.
func decode(text []byte) (document, map[string]content, error) {
	var doc document
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&doc); err != nil {
		return doc, nil, err
	}
	if err := client.CheckPath(doc.Root); err != nil {
		return doc, nil, fmt.Errorf("root: %w", err)
	}
	nodes := make(map[string]content, len(doc.Nodes))
	for _, n := range doc.Nodes {
		if err := client.CheckPath(n.Path); err != nil {
			return doc, nil, err
		}
		if _, twice := nodes[n.Path]; twice {
			return doc, nil, fmt.Errorf("%s stands there twice", n.Path)
		}
		c, err := n.content()
		if err != nil {
			return doc, nil, fmt.Errorf("%s: %w", n.Path, err)
		}
		nodes[n.Path] = c
	}
	return doc, nodes, nil
}

func (n documentNode) content() (content, error) {
	var c content
	switch {
	case n.Data != nil && n.Base64 != nil:
		return c, errors.New("either data or base64, not both")
	case n.Data != nil:
		c.data = []byte(*n.Data)
	case n.Base64 != nil:
		data, err := base64.StdEncoding.DecodeString(*n.Base64)
		if err != nil {
			return c, err
		}
		c.data = data
	}
	for _, a := range n.ACL {
		acl, err := parseACL(a.Scheme + ":" + a.ID + ":" + a.Perms)
		if err != nil {
			return c, err
		}
		c.acl = append(c.acl, acl...)
	}
	return c, nil
}

// readDocument reads an export from a file, - for the input.
func (k *call) readDocument(file string) (document, map[string]content, error) {
	text, err := k.readFile(file)
	if err != nil {
		return document{}, nil, err
	}
	doc, nodes, err := decode(text)
	if err != nil {
		return doc, nil, &usageError{fmt.Sprintf("%s is not an export: %v", file, err)}
	}
	return doc, nodes, nil
}

// same says whether a node is what another one says; ACLs count if both are known.
func same(a, b content) bool {
	return bytes.Equal(a.data, b.data) && (a.data == nil) == (b.data == nil) && (a.acl == nil || b.acl == nil || sameACL(a.acl, b.acl))
}

// difference is a line of diff, and a step of import.
type difference struct {
	Change string `json:"change"` // added, removed or changed, seen from the first
	Path   string `json:"path"`
}

func (d difference) text() string {
	return map[string]string{"added": "+ ", "removed": "- ", "changed": "~ "}[d.Change] + d.Path + "\n"
}

// differences lists what leads from one subtree to another: parents first, but what is removed last, children first.
func differences(from, to map[string]content) []difference {
	var steps []difference
	for _, p := range order(to) {
		if have, ok := from[p]; !ok {
			steps = append(steps, difference{"added", p})
		} else if !same(have, to[p]) {
			steps = append(steps, difference{"changed", p})
		}
	}
	old := order(from)
	slices.Reverse(old)
	for _, p := range old {
		if _, ok := to[p]; !ok {
			steps = append(steps, difference{"removed", p})
		}
	}
	return steps
}

func diff(ctx context.Context, k *call) error {
	first := k.args[0]
	second := first
	if len(k.args) > 1 {
		second = k.args[1]
	}
	from, err := subtree(ctx, k.c, first, k.has("a") || k.has("f"), false)
	if err != nil {
		return err
	}
	var to map[string]content
	switch {
	case k.has("f") && (k.has("server") || len(k.args) > 1):
		return &usageError{"diff compares with a file, or with a path: not both"}
	case k.has("f"):
		_, to, err = k.readDocument(k.flags["f"])
	case k.has("server"):
		to, err = k.remote(ctx, k.flags["server"], second)
	case len(k.args) < 2:
		return &usageError{"diff needs something to compare with: a second path, -f file or -server host:port"}
	default:
		to, err = subtree(ctx, k.c, second, k.has("a"), false)
	}
	if err != nil {
		return err
	}
	steps := differences(from, to)
	slices.SortFunc(steps, func(a, b difference) int { return cmp.Compare(a.Path, b.Path) })
	for _, d := range steps {
		if err := k.emit(d, d.text()); err != nil {
			return err
		}
	}
	return orNo(nil, len(steps) == 0)
}

// remote reads a subtree from another server.
func (k *call) remote(ctx context.Context, server, path string) (map[string]content, error) {
	c, err := k.open(server)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), goodbye)
		defer cancel()
		_ = c.Close(ctx) // the server ends the session by itself
	}()
	return subtree(ctx, c, path, k.has("a"), false)
}

func importTree(ctx context.Context, k *call) error {
	doc, to, err := k.readDocument(k.args[0])
	if err != nil {
		return err
	}
	root := doc.Root
	if len(k.args) > 1 {
		root = k.args[1]
	}
	from, err := subtree(ctx, k.c, root, true, true)
	if gone(err) {
		from, err = map[string]content{}, nil
	}
	if err != nil {
		return err
	}
	steps := differences(from, to)
	steps = slices.DeleteFunc(steps, func(d difference) bool {
		return d.Change == "removed" && (!k.has("d") || from[d.Path].ephemeral) // that goes with its session
	})
	count := map[string]int{}
	for _, d := range steps {
		p := absolute(root, d.Path)
		if !k.has("n") {
			if err := k.apply(ctx, d.Change, p, from[d.Path], to[d.Path]); err != nil {
				return at(p, err)
			}
		}
		count[d.Change]++
		d.Path = p
		if err := k.emit(d, d.text()); err != nil {
			return err
		}
	}
	format := "%d created, %d changed, %d deleted, %d were as they should be"
	if k.has("n") {
		format = "%d would be created, %d changed, %d deleted, %d are as they should be"
	}
	k.note(format, count["added"], count["changed"], count["removed"], len(to)-count["added"]-count["changed"])
	return nil
}

// apply does one step of an import.
func (k *call) apply(ctx context.Context, change, path string, have, want content) error {
	switch change {
	case "removed":
		return k.c.Delete(ctx, path, client.AnyVersion)
	case "added":
		n := client.Create{Path: path, Data: want.data, ACL: want.acl}
		if n.ACL == nil {
			n.ACL = client.OpenACL()
		}
		_, _, err := k.c.Create(ctx, n)
		if gone(err) {
			if err = makeParents(ctx, k.c, path); err == nil {
				_, _, err = k.c.Create(ctx, n)
			}
		}
		return err
	}
	if !bytes.Equal(have.data, want.data) || (have.data == nil) != (want.data == nil) {
		if _, err := k.c.Set(ctx, path, want.data, client.AnyVersion); err != nil {
			return err
		}
	}
	if want.acl != nil && !sameACL(have.acl, want.acl) {
		_, err := k.c.SetACL(ctx, path, want.acl, client.AnyVersion)
		return err
	}
	return nil
}
