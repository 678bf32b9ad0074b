package jaas

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func parseFile(t *testing.T, name string) File {
	t.Helper()
	path := filepath.Join("testdata", name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(path, text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestDigestServer reads files in the form of ZooKeeper's documentation of SASL between servers, and for clients.
func TestDigestServer(t *testing.T) {
	for _, tt := range []struct {
		file, section string
		users         map[string]string
		options       map[string]string
	}{
		{"quorum.conf", "QuorumServer", map[string]string{"test": "test"}, nil},
		{"quorum.conf", "QuorumLearner", nil, map[string]string{"username": "test", "password": "test"}},
		{"server.conf", "Server", map[string]string{"super": "adminsecret", "bob": "bob secret; {x} // \"y\" \\", "zoë": "pässwörd"}, nil},
		{"server.conf", "Client", nil, map[string]string{"username": "bob", "password": "bobsecret"}},
	} {
		t.Run(tt.file+" "+tt.section, func(t *testing.T) {
			m, ok := parseFile(t, tt.file)[tt.section].Digest()
			if !ok || m.Flag != "required" {
				t.Fatalf("no digest module that is required: %+v", m)
			}
			if got := m.Users(); !maps.Equal(got, tt.users) {
				t.Errorf("users %q, want %q", got, tt.users)
			}
			if tt.options != nil && !maps.Equal(m.Options, tt.options) {
				t.Errorf("options %q, want %q", m.Options, tt.options)
			}
		})
	}
}

func TestKerberos(t *testing.T) {
	want := Section{{Class: "com.sun.security.auth.module.Krb5LoginModule", Flag: "required", Line: 2, Options: map[string]string{
		"useKeyTab": "true", "keyTab": "/path/to/keytab", "storeKey": "true", "useTicketCache": "false", "debug": "false",
		"principal": "zkquorum/fully.qualified.domain.name@EXAMPLE.COM",
	}}}
	f := parseFile(t, "kerberos.conf")
	if !reflect.DeepEqual(f["QuorumServer"], want) {
		t.Errorf("QuorumServer is %+v", f["QuorumServer"])
	}
	if _, ok := f["QuorumServer"].Digest(); ok {
		t.Error("a Kerberos module is no digest module")
	}
	if len(f) != 2 {
		t.Errorf("%d sections, want 2", len(f))
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       File
	}{
		{"empty", " \n// nothing\n/* at\nall */", File{}},
		{"two modules, two sections", "A{a.B Required;c.D optional x=1 y=\"2\";};\n\"b c\" {\ne.F\nsufficient;};", File{
			"A":   {{"a.B", "required", map[string]string{}, 1}, {"c.D", "optional", map[string]string{"x": "1", "y": "2"}, 1}},
			"b c": {{"e.F", "sufficient", map[string]string{}, 3}},
		}},
		{"the last of equal options", "A{b requisite x=1 x=2;};", File{"A": {{"b", "requisite", map[string]string{"x": "2"}, 1}}}},
		{"escapes", `A{b required x="\"\\\n\t\101\1014\477\q";};`, File{"A": {{"b", "required",
			map[string]string{"x": "\"\\\n\tAA4\x277q"}, 1}}}},
		{"comments between tokens", "A/*x*/{//y\nb required/**/x/*\n*/=/*=*/1;}//\n;", File{"A": {{"b", "required",
			map[string]string{"x": "1"}, 2}}}},
		{"no module", "A{};", File{"A": nil}},
		{"a line's end in a string", "A{b required x=\"1\\\n2\";\nc optional;};", File{"A": {{"b", "required",
			map[string]string{"x": "1\n2"}, 1}, {"c", "optional", map[string]string{}, 3}}}},
		{"carriage returns", "A {\r\n b required\r\n x=1;\r\n};\r\n", File{"A": {{"b", "required", map[string]string{"x": "1"}, 2}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("f", []byte(tt.text))
			if err != nil || !reflect.DeepEqual(f, tt.want) {
				t.Errorf("%+v, %v, want %+v", f, err, tt.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"{", `f:1: found "{", want the name of a section`},
		{"A", "f:1: found the end of the file, want {"},
		{"A {\n\n b", "f:3: found the end of the file, want a flag"},
		{"A {\n b mandatory;", `f:2: "mandatory" is no flag`},
		{"A {\n b required\n x;", `f:3: found ";", want =`},
		{"A {\n b required\n x=;", `f:3: found ";", want the value of x`},
		{"A {\n b required x=1\n};", `f:3: found "}", want ;`},
		{"A {\n b required;\n}\nB", `f:4: found "B", want ;`},
		{"A { b required; };\n\nA { b required; };", "f:3: section A is defined twice"},
		{"A { b required x=\"1\n\"; };", "f:1: the string is not closed"},
		{"A { b required x=\"1\\", "f:1: the string is not closed"},
		{"\n/* A { b required; };", "f:2: the comment is not closed"},
		{"# comment\nA { b required; };", `f:1: found "#", want the name of a section`},
	} {
		f, err := Parse("f", []byte(tt.text))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || f != nil {
			t.Errorf("%q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("A { b.c required x=\"\\101\" /* c */ y=z; };"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if file, err := Parse("f", text); (file == nil) != (err != nil) {
			t.Errorf("%v with error %v", file, err)
		}
	})
}
