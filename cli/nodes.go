package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"zebu/internal/client"
	"zebu/proto"
)

var nodeCommands = []command{
	{name: "ls", args: "path", help: "list the children of a node", min: 1, run: ls,
		flags: []flag{statFlag, watchFlag, {"R", "", "list the whole subtree"}}},
	{name: "get", args: "path", help: "print the data of a node", min: 1, run: get,
		flags: []flag{statFlag, watchFlag, {"b", "", "print the data in base64"}, {"x", "", "print the data as a hex dump"}}},
	{name: "set", args: "path data", help: "replace the data of a node", min: 1, run: set,
		flags: []flag{statFlag, versionFlag, {"b", "", "the data is in base64"}, fileFlag}},
	{name: "create", args: "path [data] [acl]", help: "create a node", min: 1, run: create,
		flags: []flag{{"s", "", "append a sequence number to the name"}, {"e", "", "ephemeral: ends with the session"},
			{"c", "", "container: removed after its last child"}, {"t", "ttl", "removed when unchanged for so many milliseconds and childless"}, fileFlag}},
	{name: "delete", args: "path", help: "delete a node without children", min: 1, run: deleteNode, flags: []flag{versionFlag}},
	{name: "deleteall", args: "path", help: "delete a node with everything below", min: 1, run: deleteAll,
		flags: []flag{{"b", "batch", "nodes in one transaction; 1000 by default, 0 for one by one"}}},
	{name: "stat", args: "path", help: "print the metadata of a node", min: 1, run: stat, flags: []flag{watchFlag}},
	{name: "sync", args: "path", help: "let the server catch up with its leader", min: 1, run: syncPath},
	{name: "getEphemerals", args: "[path]", help: "list this session's ephemeral nodes", run: getEphemerals},
	{name: "getAllChildrenNumber", args: "path", help: "count the nodes below a node", min: 1, run: getAllChildrenNumber},
}

// javaDate is the layout of java.util.Date.
const javaDate = "Mon Jan 02 15:04:05 MST 2006"

func millis(m proto.Millis) time.Time { return time.UnixMilli(int64(m)) }

// statText is a node's metadata as zkCli prints it.
func statText(s proto.Stat) string {
	return fmt.Sprintf("cZxid = %v\nctime = %s\nmZxid = %v\nmtime = %s\npZxid = %v\ncversion = %d\ndataVersion = %d\naclVersion = %d\n"+
		"ephemeralOwner = %v\ndataLength = %d\nnumChildren = %d\n",
		s.Czxid, millis(s.Ctime).Format(javaDate), s.Mzxid, millis(s.Mtime).Format(javaDate), s.Pzxid, s.Cversion, s.Version,
		s.Aversion, s.EphemeralOwner, s.DataLength, s.NumChildren)
}

// statJSON is a node's metadata for programs: zxids and sessions as zkCli prints them, times in UTC.
type statJSON struct {
	Czxid          string `json:"czxid"`
	Ctime          string `json:"ctime"`
	Mzxid          string `json:"mzxid"`
	Mtime          string `json:"mtime"`
	Pzxid          string `json:"pzxid"`
	Cversion       int32  `json:"cversion"`
	Version        int32  `json:"version"`
	Aversion       int32  `json:"aversion"`
	EphemeralOwner string `json:"ephemeralOwner"`
	DataLength     int32  `json:"dataLength"`
	NumChildren    int32  `json:"numChildren"`
}

func statOf(s proto.Stat) *statJSON {
	stamp := func(m proto.Millis) string { return millis(m).UTC().Format("2006-01-02T15:04:05.000Z07:00") }
	return &statJSON{
		s.Czxid.String(), stamp(s.Ctime), s.Mzxid.String(), stamp(s.Mtime), s.Pzxid.String(), s.Cversion, s.Version, s.Aversion,
		s.EphemeralOwner.String(), s.DataLength, s.NumChildren,
	}
}

// nodeJSON is a node for programs. Data that is no UTF-8 stands in Base64; both are absent if the data is null.
type nodeJSON struct {
	Path     string    `json:"path" yaml:"path"`
	Data     *string   `json:"data,omitempty" yaml:"data,omitempty"`
	Base64   *string   `json:"base64,omitempty" yaml:"base64,omitempty"`
	Children *[]string `json:"children,omitempty" yaml:"-"`
	Stat     *statJSON `json:"stat,omitempty" yaml:"-"`
}

// result is statJSON and text together, as far as -s asks for them.
func (k *call) result(v nodeJSON, text string, s proto.Stat) error {
	if k.has("s") {
		v.Stat = statOf(s)
		text += statText(s)
	}
	return k.emit(v, text)
}

// legacyWatch understands zkCli's old form "path watch".
func (k *call) legacyWatch(usage string) bool {
	if len(k.args) > 1 {
		k.note("'%s path [watch]' has been deprecated. Please use '%s' instead.", k.cmd.name, usage)
		return true
	}
	return k.has("w")
}

func ls(ctx context.Context, k *call) error {
	path := k.args[0]
	watch := k.legacyWatch("ls [-w] path")
	if k.has("R") {
		if _, _, err := k.c.Get(ctx, path, watch); err != nil {
			return at(path, err)
		}
		n, err := fetch(ctx, k.c, path, walkOptions{watch: watch})
		if err != nil {
			return at(path, err)
		}
		if err := k.emit(nodeJSON{Path: path}, path+"\n"); err != nil {
			return err
		}
		return k.listBelow(ctx, n, walkOptions{watch: watch})
	}
	children, s, err := k.c.Children(ctx, path, watch)
	if err != nil {
		return at(path, err)
	}
	if children == nil {
		children = []string{}
	}
	return k.result(nodeJSON{Path: path, Children: &children}, "["+strings.Join(children, ", ")+"]\n", s)
}

// listBelow prints a node's children, then what is below each: zkCli's order.
func (k *call) listBelow(ctx context.Context, n *node, o walkOptions) error {
	for _, name := range n.children {
		p := client.Join(n.path, name)
		if err := k.emit(nodeJSON{Path: p}, p+"\n"); err != nil {
			return err
		}
	}
	return eachChild(ctx, k.c, n, o, func(below *node) error { return k.listBelow(ctx, below, o) })
}

// setData puts data where it belongs in n.
func (n *nodeJSON) setData(data []byte) {
	if data == nil {
		return
	}
	if text := string(data); isText(text) {
		n.Data = &text
		return
	}
	b := base64.StdEncoding.EncodeToString(data)
	n.Base64 = &b
}

func get(ctx context.Context, k *call) error {
	path := k.args[0]
	data, s, err := k.c.Get(ctx, path, k.legacyWatch("get [-s] [-w] path"))
	if err != nil {
		return at(path, err)
	}
	v := nodeJSON{Path: path}
	if v.setData(data); data == nil {
		data = []byte("null")
	}
	text := strings.ToValidUTF8(string(data), "\ufffd")
	switch {
	case k.has("x"):
		text = hexDump(data)
	case k.has("b"):
		text = base64.StdEncoding.EncodeToString(data)
	}
	return k.result(v, text+"\n", s)
}

// hexDump shows data as zkCli does: 16 bytes a line, with their offset and their ASCII characters.
func hexDump(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	const rule = "+--------+-------------------------------------------------+----------------+"
	var b strings.Builder
	b.WriteString("         +-------------------------------------------------+\n         |")
	for i := range 16 {
		fmt.Fprintf(&b, "  %x", i)
	}
	b.WriteString(" |\n" + rule)
	for at := 0; at < len(data); at += 16 {
		row := data[at:min(at+16, len(data))]
		printable := bytes.Map(func(r rune) rune {
			if r <= 0x1f || r >= 0x7f {
				return '.'
			}
			return r
		}, latin1(row))
		fmt.Fprintf(&b, "\n|%08x| %-48s|%-16s|", at, strings.TrimSpace(fmt.Sprintf("% x", row)), printable)
	}
	return b.String() + "\n" + rule
}

// latin1 makes one character of every byte.
func latin1(row []byte) []byte {
	runes := make([]rune, len(row))
	for i, c := range row {
		runes[i] = rune(c)
	}
	return []byte(string(runes))
}

// readFile reads a file that the user named, - for the input.
func (k *call) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(k.o.In)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	return data, nil
}

// data is the data for set and create: argument i, or the file of -f.
func (k *call) data(i int) ([]byte, error) {
	if name, ok := k.flags["f"]; ok {
		return k.readFile(name)
	}
	if i >= len(k.args) {
		return nil, nil
	}
	if k.cmd.flag("b") != nil && k.has("b") {
		data, err := base64.StdEncoding.DecodeString(k.args[i])
		if err != nil {
			return nil, &usageError{"the data is not base64: " + err.Error()}
		}
		return data, nil
	}
	return []byte(k.args[i]), nil
}

func set(ctx context.Context, k *call) error {
	if len(k.args) < 2 && !k.has("f") {
		return k.cmd.wrong()
	}
	path := k.args[0]
	data, err := k.data(1)
	if err != nil {
		return err
	}
	version, err := k.version()
	if err != nil {
		return err
	}
	s, err := k.c.Set(ctx, path, data, version)
	if err != nil {
		return at(path, err)
	}
	if k.json {
		return k.emit(nodeJSON{Path: path, Stat: statOf(s)}, "")
	}
	return k.result(nodeJSON{Path: path}, "", s)
}

// mode is the create mode that the flags ask for.
func (k *call) mode() (proto.CreateMode, int64, error) {
	e, s, c := k.has("e"), k.has("s"), k.has("c")
	ttl, err := k.number("t", 0, 64)
	switch {
	case err != nil:
		return 0, 0, &usageError{"-t argument must be a long value"}
	case c && (e || s):
		return 0, 0, &usageError{"-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential."}
	case k.has("t") && e:
		return 0, 0, &usageError{"TTLs cannot be used with Ephemeral znodes"}
	case k.has("t") && c:
		return 0, 0, &usageError{"TTLs cannot be used with Container znodes"}
	case k.has("t") && (ttl <= 0 || ttl > proto.MaxTTL):
		return 0, 0, &usageError{"ttl must be positive and cannot be larger than: " + strconv.FormatInt(proto.MaxTTL, 10)}
	case k.has("t") && s:
		return proto.SequentialTTL, ttl, nil
	case k.has("t"):
		return proto.PersistentTTL, ttl, nil
	case c:
		return proto.Container, 0, nil
	case e && s:
		return proto.EphemeralSequential, 0, nil
	case e:
		return proto.Ephemeral, 0, nil
	case s:
		return proto.PersistentSequential, 0, nil
	}
	return proto.Persistent, 0, nil
}

func create(ctx context.Context, k *call) error {
	path := k.args[0]
	n := client.Create{Path: path, ACL: client.OpenACL()}
	var err error
	if n.Mode, n.TTL, err = k.mode(); err != nil {
		return err
	}
	acl := 2
	if k.has("f") {
		acl = 1
	}
	if n.Data, err = k.data(1); err != nil {
		return err
	}
	if len(k.args) > acl {
		if n.ACL, err = parseACL(k.args[acl]); err != nil {
			return err
		}
	}
	made, _, err := k.c.Create(ctx, n)
	if err != nil {
		if p := parent(path); err == proto.ErrNoNode {
			return &missingParent{at(path, err), p}
		}
		return at(path, err)
	}
	if k.json {
		return k.emit(nodeJSON{Path: made}, "")
	}
	k.note("Created %s", made)
	return nil
}

// missingParent is a create below a node that there is not.
type missingParent struct {
	error
	parent string
}

func (e *missingParent) Unwrap() error { return e.error }

func deleteNode(ctx context.Context, k *call) error {
	if len(k.args) > 1 {
		k.note("'delete path [version]' has been deprecated. Please use 'delete [-v version] path' instead.")
	}
	version, err := k.version()
	if err != nil {
		return err
	}
	return k.done(k.args[0], k.c.Delete(ctx, k.args[0], version))
}

// done ends a command that prints nothing but, in JSON, which node it was about.
func (k *call) done(path string, err error) error {
	if err != nil {
		return at(path, err)
	}
	if k.json {
		return k.emit(nodeJSON{Path: path}, "")
	}
	return nil
}

func deleteAll(ctx context.Context, k *call) error {
	path := k.args[0]
	size, err := k.number("b", 1000, 32)
	if err != nil {
		return &usageError{"-b argument must be an int value"}
	}
	var tree []string
	err = k.walk(ctx, path, walkOptions{}, func(n *node) error {
		tree = append(tree, n.path)
		return nil
	})
	if err != nil {
		return err
	}
	slices.Reverse(tree) // leaves first
	if size <= 0 {
		for _, p := range tree {
			if err := k.c.Delete(ctx, p, client.AnyVersion); err != nil {
				return at(p, err)
			}
		}
		return k.done(path, nil)
	}
	for len(tree) > 0 && err == nil {
		batch := tree[:min(int(size), len(tree))]
		tree = tree[len(batch):]
		err = k.c.DeleteAll(ctx, batch)
	}
	if err != nil {
		k.note("Failed to delete some node(s) in the subtree!")
		if k.o.Compat {
			return nil // as zkCli
		}
		return at(path, err)
	}
	return k.done(path, nil)
}

func stat(ctx context.Context, k *call) error {
	path := k.args[0]
	s, err := k.c.Exists(ctx, path, k.legacyWatch("stat [-w] path"))
	if err != nil {
		return at(path, err)
	}
	return k.emit(nodeJSON{Path: path, Stat: statOf(s)}, statText(s))
}

func syncPath(ctx context.Context, k *call) error {
	if err := k.c.Sync(ctx, k.args[0]); err != nil {
		return at(k.args[0], err)
	}
	return k.emit(nodeJSON{Path: k.args[0]}, "Sync is OK\n")
}

func getEphemerals(ctx context.Context, k *call) error {
	prefix := ""
	if len(k.args) > 0 {
		prefix = k.args[0]
	}
	paths, err := k.c.Ephemerals(ctx, prefix)
	if err != nil {
		return at(prefix, err)
	}
	if paths == nil {
		paths = []string{}
	}
	return k.emit(map[string]any{"paths": paths}, "["+strings.Join(paths, ", ")+"]\n")
}

func getAllChildrenNumber(ctx context.Context, k *call) error {
	n, err := k.c.Descendants(ctx, k.args[0])
	if err != nil {
		return at(k.args[0], err)
	}
	return k.emit(map[string]any{"path": k.args[0], "count": n}, strconv.Itoa(n)+"\n")
}
