package znode

import (
	"math"
	"testing"
)

func TestValidatePath(t *testing.T) {
	for path, want := range map[string]bool{
		"": false, "/": true, "a": false, "/a": true, "/a/": false, "//": false, "//a": false, "/a//b": false,
		"/.": false, "/..": false, "/a/./b": false, "/a/../b": false, "/a/..": false, "/...": true, "/.a": true, "/a.": true,
		"/..a": true, "/a..": true, "/a b": true, "/\x00": false, "/\x1f": false, "/\x20": true, "/~": true, "/\x7f": false,
		"/\u009f": false, "/\u00a0": true, "/\ud7ff": true, "/\ue000": false, "/\uf8ff": false, "/\uf900": true,
		"/\uffef": true, "/\ufff0": false, "/\ufffd": false, "/\U0001f600": false, "/\xff": false, "/\xed\xa0\x80": false,
		"/é/中": true, "/a/\xc3": false,
	} {
		if got := ValidatePath(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

func TestAppendSequence(t *testing.T) {
	for n, want := range map[int32]string{
		0: "0000000000", 7: "0000000007", math.MaxInt32: "2147483647", -5: "-000000005", math.MinInt32: "-2147483648",
	} {
		if got := string(appendSequence(nil, n)); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
