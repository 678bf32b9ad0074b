package cli

import (
	"context"
	"fmt"
	"strings"

	"zebu/proto"
)

var aclCommands = []command{
	{name: "getAcl", args: "path", help: "print who may do what with a node", min: 1, run: getACL, flags: []flag{statFlag}},
	{name: "setAcl", args: "path acl", help: "replace a node's access control list", min: 2, run: setACL,
		flags: []flag{statFlag, {"v", "version", "only if the ACL has this version"}, {"R", "", "for the whole subtree"}}},
	{name: "addauth", args: "scheme [credentials]", help: "tell the server who you are", min: 1, run: addAuth},
	{name: "whoami", help: "print who the server takes you for", run: whoAmI},
}

// perms are the letters of permissions, in zkCli's order.
var perms = []struct {
	letter byte
	bit    int32
}{{'c', proto.PermCreate}, {'d', proto.PermDelete}, {'r', proto.PermRead}, {'w', proto.PermWrite}, {'a', proto.PermAdmin}}

func permLetters(bits int32) string {
	var b []byte
	for _, p := range perms {
		if bits&p.bit != 0 {
			b = append(b, p.letter)
		}
	}
	return string(b)
}

// parseACL reads scheme:id:perms,… where the id may have colons. zkCli goes on without an entry or letter that it does
// not know; a list that means less than it says is refused here.
func parseACL(text string) ([]proto.ACL, error) {
	var acl []proto.ACL
	for _, entry := range strings.Split(text, ",") {
		first, last := strings.IndexByte(entry, ':'), strings.LastIndexByte(entry, ':')
		if first == last {
			return nil, &usageError{entry + " does not have the form scheme:id:perm"}
		}
		a := proto.ACL{ID: proto.ID{Scheme: entry[:first], ID: entry[first+1 : last]}}
	letters:
		for _, c := range []byte(entry[last+1:]) {
			for _, p := range perms {
				if p.letter == c {
					a.Perms |= p.bit
					continue letters
				}
			}
			return nil, &usageError{fmt.Sprintf("Unknown perm type: %c (expected letters of cdrwa)", c)}
		}
		acl = append(acl, a)
	}
	return acl, nil
}

// aclJSON is an ACL entry for programs.
type aclJSON struct {
	Scheme string `json:"scheme" yaml:"scheme"`
	ID     string `json:"id" yaml:"id"`
	Perms  string `json:"perms" yaml:"perms"`
}

func aclsOf(acl []proto.ACL) []aclJSON {
	out := make([]aclJSON, len(acl))
	for i, a := range acl {
		out[i] = aclJSON{a.ID.Scheme, a.ID.ID, permLetters(a.Perms)}
	}
	return out
}

func getACL(ctx context.Context, k *call) error {
	path := k.args[0]
	acl, s, err := k.c.ACL(ctx, path)
	if err != nil {
		return at(path, err)
	}
	var b strings.Builder
	for _, a := range acl {
		fmt.Fprintf(&b, "'%s,'%s\n: %s\n", a.ID.Scheme, a.ID.ID, permLetters(a.Perms))
	}
	v := struct {
		Path string    `json:"path"`
		ACL  []aclJSON `json:"acl"`
		Stat *statJSON `json:"stat,omitempty"`
	}{Path: path, ACL: aclsOf(acl)}
	if k.has("s") {
		v.Stat = statOf(s)
		b.WriteString(statText(s))
	}
	return k.emit(v, b.String())
}

func setACL(ctx context.Context, k *call) error {
	path := k.args[0]
	acl, err := parseACL(k.args[1])
	if err != nil {
		return err
	}
	version, err := k.version()
	if err != nil {
		return err
	}
	if k.has("R") {
		return k.walk(ctx, path, walkOptions{}, func(n *node) error {
			_, err := k.c.SetACL(ctx, n.path, acl, version)
			if gone(err) && n.path != path {
				return nil
			}
			return at(n.path, err)
		})
	}
	s, err := k.c.SetACL(ctx, path, acl, version)
	if err != nil {
		return at(path, err)
	}
	if k.json {
		return k.emit(nodeJSON{Path: path, Stat: statOf(s)}, "")
	}
	return k.result(nodeJSON{Path: path}, "", s)
}

func addAuth(ctx context.Context, k *call) error {
	var credentials []byte
	if len(k.args) > 1 {
		credentials = []byte(k.args[1])
	}
	if err := k.c.AddAuth(ctx, k.args[0], credentials); err != nil {
		return at("", err)
	}
	if k.json {
		return k.emit(map[string]string{"scheme": k.args[0]}, "")
	}
	return nil
}

func whoAmI(ctx context.Context, k *call) error {
	infos, err := k.c.WhoAmI(ctx)
	if err != nil {
		return at("", err)
	}
	type identity struct {
		Scheme string `json:"scheme"`
		User   string `json:"user"`
	}
	list := make([]identity, len(infos))
	text := "Auth scheme: User\n"
	for i, c := range infos {
		list[i] = identity{c.AuthScheme, c.User}
		text += c.AuthScheme + ": " + c.User + "\n"
	}
	return k.emit(list, text)
}
