package interop

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"zebu/proto"
)

// dump lists every node that w may read: data, the whole stat and the ACL, by path.
func dump(w *wire) (map[string]string, error) {
	all := map[string]string{}
	todo := []string{"/"}
	for len(todo) > 0 {
		path := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		b, err := w.must(proto.OpGetData, &proto.PathWatchRequest{Path: path})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var data proto.GetDataResponse
		d := proto.NewDecoder(b)
		data.Decode(&d)
		if b, err = w.must(proto.OpGetACL, &proto.PathRequest{Path: path}); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var acl proto.GetACLResponse
		d = proto.NewDecoder(b)
		acl.Decode(&d)
		if b, err = w.must(proto.OpGetChildren, &proto.PathWatchRequest{Path: path}); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var children proto.StringsResponse
		d = proto.NewDecoder(b)
		children.Decode(&d)
		all[path] = fmt.Sprintf("%q null=%t %+v %v", data.Data, data.Data == nil, data.Stat, acl.ACL)
		for _, c := range children.Strings {
			todo = append(todo, strings.TrimSuffix(path, "/")+"/"+strings.Clone(c))
		}
	}
	return all, nil
}

// sameDump compares two dumps and names up to ten differences.
func sameDump(t *testing.T, what string, want, got map[string]string) {
	t.Helper()
	paths := map[string]bool{}
	for p := range want {
		paths[p] = true
	}
	for p := range got {
		paths[p] = true
	}
	n := 0
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if want[p] == got[p] {
			continue
		}
		if n++; n <= 10 {
			t.Errorf("%s: %s\n  was %s\n  is  %s", what, p, want[p], got[p])
		}
	}
	if n > 0 {
		t.Fatalf("%s: %d of %d nodes differ", what, n, len(paths))
	}
}
