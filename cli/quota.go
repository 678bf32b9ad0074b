package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"zebu/internal/client"
	"zebu/proto"
)

var quotaCommands = []command{
	{name: "setquota", args: "path", help: "limit the nodes or the bytes below a node", min: 1, run: setQuota, flags: quotaFlags("val")},
	{name: "listquota", args: "path", help: "print a node's quota and what is used of it", min: 1, run: listQuota},
	{name: "delquota", args: "path", help: "remove a node's quota, or one limit of it", min: 1, run: delQuota, flags: quotaFlags("")},
}

func quotaFlags(value string) []flag {
	return []flag{{"n", value, "number of nodes, soft"}, {"b", value, "bytes, soft"}, {"N", value, "number of nodes, hard"}, {"B", value, "bytes, hard"}}
}

// Where quotas live (spec 6), whatever the chroot.
const (
	quotaRoot  = "/zookeeper/quota"
	limitsNode = "/zookeeper_limits"
	statsNode  = "/zookeeper_stats"
)

// quotaKeys are the limits in the text of a quota, by flag.
var quotaKeys = map[string]string{"n": "count", "b": "bytes", "N": "countHardLimit", "B": "byteHardLimit"}

// quota is the text of a limits or stats node, taken apart: -1 is no limit.
type quota map[string]int64

// parseQuota reads "count=C,bytes=B" and what may follow (spec 6). What it cannot read it leaves out.
func parseQuota(text string) quota {
	q := quota{}
	for _, pair := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' }) {
		key, value, _ := strings.Cut(pair, "=")
		value = strings.TrimRight(value, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		if value == "" {
			n, err = -1, nil
		}
		if err == nil {
			q[key] = n
		}
	}
	return q
}

// get is a limit, -1 if there is none.
func (q quota) get(key string) int64 {
	if n, ok := q[key]; ok {
		return n
	}
	return -1
}

// String is the text for the node: the first two keys always, the others after an "=" that keeps old parsers from them.
func (q quota) String() string {
	text := fmt.Sprintf("count=%d,bytes=%d", q.get("count"), q.get("bytes"))
	sep := "=;"
	for _, key := range slices.Sorted(maps.Keys(q)) {
		if key != "count" && key != "bytes" {
			text += fmt.Sprintf("%s%s=%d", sep, key, q[key])
			sep = ";"
		}
	}
	return text
}

// quotaAt is where the quota of path lives, seen without the chroot.
func (k *call) quotaAt(path string) string {
	if path == "/" {
		path = ""
	}
	return quotaRoot + k.c.Root() + path
}

func setQuota(ctx context.Context, k *call) error {
	path := k.args[0]
	if below(path, quotaRoot) {
		return &usageError{"cannot set a quota under the path: " + quotaRoot}
	}
	want := quota{"count": -1, "bytes": -1, "countHardLimit": -1, "byteHardLimit": -1}
	given := false
	for name, key := range quotaKeys {
		n, err := k.number(name, -1, 64)
		if err != nil {
			return err
		}
		if !k.has(name) {
			continue
		}
		given = true
		switch nodes := name == "n" || name == "N"; {
		case nodes && n <= 0:
			return &usageError{"the num quota must be greater than zero"}
		case n < 0:
			return &usageError{"the bytes quota must be greater than or equal to zero"}
		}
		want[key] = n
	}
	if !given {
		return k.cmd.wrong()
	}
	if _, err := k.c.Exists(ctx, path, false); err != nil {
		if gone(err) {
			return at(path, &noSuchNode{path + " does not exist."})
		}
		return at(path, err)
	}
	c, where := k.c.Absolute(), k.quotaAt(path)
	if err := k.otherQuotas(ctx, c, path, where); err != nil {
		return err
	}
	have, err := readQuota(ctx, c, where+limitsNode)
	if gone(err) {
		return k.newQuota(ctx, c, path, where, want)
	}
	if err != nil {
		return at(path, err)
	}
	for key, n := range want {
		if n > -1 {
			have[key] = n
		}
	}
	if err := k.warnQuota(ctx, c, where, have); err != nil {
		return at(path, err)
	}
	_, err = c.Set(ctx, where+limitsNode, []byte(have.String()), client.AnyVersion)
	return k.done(path, err)
}

// noSuchNode is zkCli's other way to say so.
type noSuchNode struct{ text string }

func (e *noSuchNode) Error() string { return e.text }

// Unwrap makes it proto.ErrNoNode.
func (e *noSuchNode) Unwrap() error { return proto.ErrNoNode }

// otherQuotas refuses a quota above or below another one: only the deepest would count.
func (k *call) otherQuotas(ctx context.Context, c *client.Client, path, where string) error {
	err := walkFrom(ctx, c, where, walkOptions{}, func(n *node) error {
		if n.path != where && slices.Contains(n.children, limitsNode[1:]) {
			return &usageError{fmt.Sprintf("%s has a child %s which has a quota", path, strings.TrimPrefix(n.path, quotaRoot))}
		}
		return nil
	})
	if err != nil && !gone(err) {
		return err
	}
	for up := parent(where); below(up, quotaRoot) && up != quotaRoot; up = parent(up) {
		_, err := c.Exists(ctx, up+limitsNode, false)
		if err == nil {
			return &usageError{fmt.Sprintf("%s has a parent %s which has a quota", path, strings.TrimPrefix(up, quotaRoot))}
		}
		if !gone(err) {
			return at(up, err)
		}
	}
	return nil
}

// newQuota makes the nodes of a quota.
func (k *call) newQuota(ctx context.Context, c *client.Client, path, where string, want quota) error {
	if err := makeParents(ctx, c, where+limitsNode); err != nil {
		return err
	}
	for _, n := range []struct {
		path string
		q    quota
	}{{where + limitsNode, want}, {where + statsNode, quota{"count": 0, "bytes": 0}}} {
		_, _, err := c.Create(ctx, client.Create{Path: n.path, Data: []byte(n.q.String()), ACL: client.OpenACL()})
		if err != nil && err != proto.ErrNodeExists {
			return at(n.path, err)
		}
	}
	return k.done(path, k.warnQuota(ctx, c, where, want))
}

// makeParents makes the nodes above path that there are not yet.
func makeParents(ctx context.Context, c *client.Client, path string) error {
	up := parent(path)
	if up == "/" {
		return nil
	}
	_, err := c.Exists(ctx, up, false)
	if !gone(err) {
		return at(up, err)
	}
	if err := makeParents(ctx, c, up); err != nil {
		return err
	}
	if _, _, err := c.Create(ctx, client.Create{Path: up, ACL: client.OpenACL()}); err != nil && err != proto.ErrNodeExists {
		return at(up, err)
	}
	return nil
}

func readQuota(ctx context.Context, c *client.Client, path string) (quota, error) {
	data, _, err := c.Get(ctx, path, false)
	if err != nil {
		return nil, err
	}
	return parseQuota(string(data)), nil
}

// warnQuota says if more is used than the limits allow.
func (k *call) warnQuota(ctx context.Context, c *client.Client, where string, limits quota) error {
	used, err := readQuota(ctx, c, where+statsNode)
	if err != nil {
		return err
	}
	for _, w := range []struct{ what, key, hard string }{{"count", "count", "countHardLimit"}, {"bytes", "bytes", "byteHardLimit"}} {
		n := used.get(w.key)
		if soft, hard := limits.get(w.key), limits.get(w.hard); soft > -1 && soft < n || hard > -1 && hard < n {
			if !k.json {
				fmt.Fprintf(k.out, "[Warning]: the %s quota you create is less than the existing %s:%d\n", w.what, w.what, n)
			}
		}
	}
	return nil
}

func listQuota(ctx context.Context, k *call) error {
	path := k.args[0]
	c, where := k.c.Absolute(), k.quotaAt(path)
	k.note("absolute path is %s", where+limitsNode)
	limits, err := readQuota(ctx, c, where+limitsNode)
	var used quota
	if err == nil {
		used, err = readQuota(ctx, c, where+statsNode)
	}
	if gone(err) {
		return k.noQuota(path, fmt.Sprintf("quota for %s does not exist.", path))
	}
	if err != nil {
		return at(path, err)
	}
	v := struct {
		Path   string `json:"path"`
		Limits quota  `json:"limits"`
		Used   quota  `json:"used"`
	}{path, limits, used}
	return k.emit(v, fmt.Sprintf("Output quota for %s %s\nOutput stat for %s %s\n", path, limits, path, used))
}

// noQuota tells that there is no quota; zkCli calls that a success.
func (k *call) noQuota(path, text string) error {
	if k.o.Compat {
		k.note("%s", text)
		return nil
	}
	return &nodeError{path, &noSuchNode{text}}
}

func delQuota(ctx context.Context, k *call) error {
	path := k.args[0]
	c, where := k.c.Absolute(), k.quotaAt(path)
	have, err := readQuota(ctx, c, where+limitsNode)
	if gone(err) {
		if k.o.Compat {
			return k.emit(nil, "Quota does not exist for "+path+"\n")
		}
		return k.noQuota(path, "Quota does not exist for "+path)
	}
	if err != nil {
		return at(path, err)
	}
	some := false
	for name, key := range quotaKeys {
		if k.has(name) {
			have[key], some = -1, true
		}
	}
	if some {
		_, err := c.Set(ctx, where+limitsNode, []byte(have.String()), client.AnyVersion)
		return k.done(path, err)
	}
	for _, n := range []string{where + limitsNode, where + statsNode} {
		if err := c.Delete(ctx, n, client.AnyVersion); err != nil && !gone(err) {
			return at(n, err)
		}
	}
	// The nodes that led there go too, as far as they lead nowhere else.
	for up := where; up != quotaRoot && below(up, quotaRoot); up = parent(up) {
		if err := c.Delete(ctx, up, client.AnyVersion); errors.Is(err, proto.ErrNotEmpty) {
			break
		} else if err != nil && !gone(err) {
			return at(up, err)
		}
	}
	return k.done(path, nil)
}
