package mirror

import "testing"

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		include, exclude []string
		path             string
		selected, leads  bool
	}{
		{nil, nil, "/", true, true},
		{nil, nil, "/a/b", true, true},
		{nil, []string{"/a"}, "/a", false, false},
		{nil, []string{"/a"}, "/a/b/c", false, false},
		{nil, []string{"/a"}, "/ab", true, true},
		{nil, []string{"/a"}, "/x/a", true, true},
		{nil, []string{"a"}, "/x/a", false, false},
		{nil, []string{"a"}, "/x/a/y", false, false},
		{nil, []string{"lock-*"}, "/x/lock-0000000001", false, false},
		{nil, []string{"/*/b"}, "/a/b", false, false},
		{nil, []string{"/*/b"}, "/a/c/b", true, true},
		{nil, []string{"/**/b"}, "/a/c/b", false, false},
		{nil, []string{"/a/**/z"}, "/a/z", false, false},
		{nil, []string{"/a/[0-9]?"}, "/a/1x", false, false},
		{nil, []string{"/a/[0-9]?"}, "/a/x1", true, true},
		{[]string{"/a/b"}, nil, "/", false, true},
		{[]string{"/a/b"}, nil, "/a", false, true},
		{[]string{"/a/b"}, nil, "/a/b", true, true},
		{[]string{"/a/b"}, nil, "/a/b/c", true, true},
		{[]string{"/a/b"}, nil, "/a/c", false, false},
		{[]string{"/a/b"}, nil, "/b", false, false},
		{[]string{"b"}, nil, "/x/y", false, true},
		{[]string{"b"}, nil, "/x/b", true, true},
		{[]string{"/a/b", "/c"}, []string{"/c/d"}, "/c/e", true, true},
		{[]string{"/a/b", "/c"}, []string{"/c/d"}, "/c/d/x", false, false},
		{[]string{"/a/"}, nil, "/a/x", true, true},
	} {
		f, err := newFilter(c.include, c.exclude)
		if err != nil {
			t.Fatal(err)
		}
		if selected, leads := f.selects(c.path); selected != c.selected || leads != c.leads {
			t.Errorf("+%q -%q: %s: %v %v, want %v %v", c.include, c.exclude, c.path, selected, leads, c.selected, c.leads)
		}
	}
	for _, bad := range []string{"", "/", "//a", "/a//b", "a[", "/a/["} {
		if _, err := newFilter([]string{bad}, nil); err == nil {
			t.Errorf("pattern %q is taken", bad)
		}
	}
}
