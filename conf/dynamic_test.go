package conf

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zebu/proto"
	"zebu/quorum"
)

// apacheDir is a directory of server 2 of three Apache ZooKeeper 3.9.5 servers: before.cfg is its zoo.cfg before the first
// start, the others what the servers made of it. In memory, @DIR@ is the directory.
const apacheDir = "testdata/apache-3.9.5"

type files struct {
	*testing.T
	dir string
	d   DynamicFiles
}

// newFiles makes a directory for server 2, whose zoo.cfg is a file of apacheDir.
func newFiles(t *testing.T, zooCfg string) *files {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &files{t, dir, DynamicFiles{Static: filepath.Join(dir, "zoo.cfg"), ID: 2}}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("data/myid", "2\n")
	s.write("zoo.cfg", s.apache(zooCfg))
	return s
}

func (s *files) apache(name string) string {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(apacheDir, name))
	if err != nil {
		s.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "@DIR@", s.dir)
}

func (s *files) write(name, text string) {
	s.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

func (s *files) read(name string) string {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

func (s *files) exists(name string) bool {
	_, err := os.Stat(filepath.Join(s.dir, name))
	return !errors.Is(err, fs.ErrNotExist)
}

func (s *files) load() *Config {
	s.Helper()
	c, err := Load(Options{File: s.d.Static})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

func (s *files) config(name, version string) *quorum.Config {
	s.Helper()
	c, err := quorum.ParseConfig(s.apache(name) + "\nversion=" + version)
	if err != nil {
		s.Fatal(err)
	}
	return c
}

func (s *files) do(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func asMap(text string) map[string]string {
	m := map[string]string{}
	props, _ := parseProperties([]byte(text))
	for _, p := range props {
		m[p.key] = p.value
	}
	return m
}

// TestDynamicFilesAsApache takes a server through the configurations that the Apache ZooKeeper servers went through.
func TestDynamicFilesAsApache(t *testing.T) {
	s := newFiles(t, "before.cfg")
	c := s.load()
	if s.d = c.DynamicFiles(); s.d != (DynamicFiles{filepath.Join(s.dir, "zoo.cfg"), 2}) || c.Quorum.Config.Version != 0 {
		t.Fatalf("%+v", s.d)
	}
	first := s.config("zoo.cfg.dynamic.100000000", "100000000")
	if !first.SameMembers(&c.Quorum.Config) {
		t.Errorf("%v is not %v", first, &c.Quorum.Config)
	}
	s.do(s.d.SaveSeen([]byte(first.String())))
	s.do(s.d.Activate(first))
	const dynamic = "zoo.cfg.dynamic.100000000"
	if got := s.read(dynamic); got != s.apache(dynamic) {
		t.Errorf("%s:\n%s", dynamic, got)
	}
	if got := s.read("zoo.cfg"); !maps.Equal(asMap(got), asMap(s.apache("zoo.cfg"))) || !strings.HasPrefix(got, "# a comment\ntickTime") {
		t.Errorf("zoo.cfg:\n%s", got)
	}
	if got := s.read("zoo.cfg.bak"); got != s.apache("before.cfg") {
		t.Errorf("zoo.cfg.bak:\n%s", got)
	}
	if c = s.load(); c.Quorum.Config.String() != first.String() || c.Quorum.LastSeen != nil || c.Client.Addr.Port != 50993 {
		t.Errorf("%+v", c.Quorum)
	}

	next, err := quorum.ParseConfig(s.apache("zoo.cfg.dynamic.next"))
	s.do(err)
	s.do(s.d.SaveSeen([]byte(next.String())))
	if got := s.read("zoo.cfg.dynamic.next"); got != s.apache("zoo.cfg.dynamic.next") {
		t.Errorf("zoo.cfg.dynamic.next:\n%s", got)
	}
	if c = s.load(); c.Quorum.Config.Version != 0x100000000 || c.Quorum.LastSeen == nil || c.Quorum.LastSeen.String() != next.String() {
		t.Errorf("%+v", c.Quorum)
	}

	s.write("zoo.cfg.bak", "the first one")
	groups := s.config("zoo.cfg.dynamic.10000004c", "10000004c")
	s.do(s.d.Activate(groups))
	if got := s.read("zoo.cfg.dynamic.10000004c"); got != s.apache("zoo.cfg.dynamic.10000004c") {
		t.Errorf("zoo.cfg.dynamic.10000004c:\n%s", got)
	}
	if s.exists("zoo.cfg.dynamic.next") || !s.exists(dynamic) || s.read("zoo.cfg.bak") != "the first one" {
		t.Error("what is proposed is in force; other files are to stay")
	}
	want := asMap(s.apache("zoo.cfg"))
	want["dynamicConfigFile"] = filepath.Join(s.dir, "zoo.cfg.dynamic.10000004c")
	delete(want, "clientPort") // now the server's line has it
	if got := s.read("zoo.cfg"); !maps.Equal(asMap(got), want) {
		t.Errorf("zoo.cfg:\n%s", got)
	}
	if c = s.load(); c.Quorum.Config.String() != groups.String() || c.Client.Addr.String() != "0.0.0.0:50993" {
		t.Errorf("%+v, %v", c.Quorum, c.Client.Addr)
	}
}

func TestReadsApachesDynamicFiles(t *testing.T) {
	s := newFiles(t, "zoo.cfg")
	for _, name := range []string{"zoo.cfg.dynamic.100000000", "zoo.cfg.dynamic.next"} {
		s.write(name, s.apache(name))
	}
	c := s.load()
	q := c.Quorum
	if q.Config.Version != 0x100000000 || q.Voters() != 3 || q.LastSeen == nil || q.LastSeen.Version != 0x100000002 ||
		!q.LastSeen.Observers().Has(4) || !q.Reconfig || c.Client.Addr.Port != 50993 || len(c.Warnings()) != 1 {
		t.Errorf("%+v, %v", q, c.Warnings()) // of foo.bar
	}
}

func TestNextFile(t *testing.T) {
	const dynamic, next = "zoo.cfg.dynamic.100000000", "zoo.cfg.dynamic.next"
	for _, c := range []struct{ name, zooCfg, text, want string }{
		{"old", "", "server.1=a:1:2\nversion=99", "none"},
		{"in force", "", "server.1=a:1:2\nversion=100000000", "none"},
		{"newer", "", "server.1=a:1:2\nversion=100000001", "100000001"},
		{"disabled", "reconfigEnabled=false\n", "nonsense", "none, reconfigEnabled"},
		{"escaped", "", `server.1=\u0061\:1:2` + "\nversion=7fffffffffffffff", "7fffffffffffffff"},
		{"role", "", "server.1=a:1:2:king\nversion=100000001", "next:1: server.1=a:1:2:king: role"},
		{"version", "", "server.1=a:1:2\nversion=x", "next:2: version=x: expected a hexadecimal number"},
		{"key", "", "tickTime=1\nversion=1", "next:1: tickTime=1: expected server.N"},
		{"empty", "", "", "next:1: expected a participant"},
		{"escape", "", `server.1=\u00`, `next:1: server.1: \u00: expected four`},
		{"addresses", "", "server.1=a:1:2|b:1:2\nversion=100000001", "next:1: server.1=a:1:2|b:1:2: several addresses"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newFiles(t, "zoo.cfg")
			s.write("zoo.cfg", s.apache("zoo.cfg")+c.zooCfg)
			s.write(dynamic, s.apache(dynamic))
			s.write(next, c.text)
			got := "none"
			conf, err := Load(Options{File: s.d.Static})
			switch {
			case err != nil:
				got = err.Error()
			case conf.Quorum.LastSeen != nil:
				got = conf.Quorum.LastSeen.String()
			case c.zooCfg != "":
				for _, w := range conf.Warnings() {
					if strings.HasSuffix(w.Source.File, next) {
						got = "none, " + w.Key
					}
				}
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	s := newFiles(t, "zoo.cfg")
	s.write(dynamic, s.apache(dynamic))
	s.write(next, "server.1=a:1:2\nversion=100000005")
	s.do(s.d.Activate(s.config(dynamic, "100000004")))
	if !s.exists(next) {
		t.Error("a proposal newer than the configuration in force is gone")
	}
	s.do(s.d.Activate(s.config(dynamic, "100000005")))
	if s.exists(next) {
		t.Error("what is in force is still proposed")
	}
}

func TestNoFileKeepsNothing(t *testing.T) {
	c := Default()
	t.Chdir(t.TempDir())
	d := c.DynamicFiles()
	if err := errors.Join(d.SaveSeen([]byte("server.1=a:1:2")), d.Activate(&quorum.Config{})); err != nil {
		t.Error(err)
	}
	if names, err := os.ReadDir("."); err != nil || len(names) > 0 {
		t.Error(names, err)
	}
}

// edits are texts of zoo.cfg before and after; @ stands for the new line.
var edits = []struct{ before, after string }{
	{"", "@"},
	{"a=1", "a=1\n@"},
	{"a=1\n", "a=1\n@"},
	{"# c\nserver.1=x\n  server.2 x\r\ngroup.1:1\n! d\nweight.1=1\nb=2\n", "# c\n! d\nb=2\n@"},
	{"dynamicConfigFile=/old\n\nb=2", "\nb=2\n@"},
	{"peerType=observer\nclientPort=1\nclientPortAddress=h\nclientPortListenBacklog=5\nsecureClientPort=2\n", "clientPortListenBacklog=5\nsecureClientPort=2\n@"},
	{"server.1=a:\\\n 1:2\nb=\\\n  2\nserver.2=c", "b=\\\n  2\n@"},
	{`b=2\`, "b=2\\\n\n@"},
	{"b=2\\\n", "b=2\\\n\n@"},
	{"b=2\\\nserver.1=x\n", "b=2\\\nserver.1=x\n@"},
	{"b=2\r\n", "b=2\r\n@"},
	{"# end", "# end\n@"},
}

func TestEditStatic(t *testing.T) {
	for _, e := range edits {
		props, _ := parseProperties([]byte(e.before))
		got := string(editStatic([]byte(e.before), props, true, `/é/w\x`))
		if want := strings.Replace(e.after, "@", `dynamicConfigFile=/\u00e9/w\\x`+"\n", 1); got != want {
			t.Errorf("%q:\n got %q\nwant %q", e.before, got, want)
		}
	}
	props, _ := parseProperties([]byte("clientPort=1"))
	if got := string(editStatic([]byte("clientPort=1"), props, false, "p")); got != "clientPort=1\ndynamicConfigFile=p\n" {
		t.Errorf("%q", got)
	}
}

// FuzzEditStatic checks that editing changes no other key.
func FuzzEditStatic(f *testing.F) {
	for _, e := range edits {
		f.Add(e.before)
	}
	f.Fuzz(func(t *testing.T, text string) {
		props, faults := parseProperties([]byte(text))
		if len(faults) > 0 {
			return
		}
		want := map[string]string{}
		for _, p := range props {
			key := strings.TrimSpace(p.key)
			if !isMember(key) && key != "peerType" && key != "clientPort" && key != "clientPortAddress" && key != "dynamicConfigFile" {
				want[p.key] = p.value
			}
		}
		want["dynamicConfigFile"] = ` /p\q`
		edited := editStatic([]byte(text), props, true, ` /p\q`)
		got := asMap(string(edited))
		delete(want, "") // a lone backslash at the end
		delete(got, "")
		if !maps.Equal(got, want) {
			t.Fatalf("%q became %q:\n got %q\nwant %q", text, edited, got, want)
		}
	})
}

func TestDynamicFileErrors(t *testing.T) {
	s := newFiles(t, "before.cfg")
	c := s.load()
	for _, e := range []struct {
		name string
		err  error
		want string
	}{
		{"text", s.d.SaveSeen([]byte("server.1=a")), "expected host:quorumPort"},
		{"no zoo.cfg", DynamicFiles{Static: filepath.Join(s.dir, "none.cfg")}.Activate(&c.Quorum.Config), filepath.Join(s.dir, "none.cfg")},
		{"no directory", DynamicFiles{Static: filepath.Join(s.dir, "none", "zoo.cfg")}.Activate(&c.Quorum.Config), "zoo.cfg.dynamic.0.tmp"},
		{"nor then", DynamicFiles{Static: filepath.Join(s.dir, "none", "zoo.cfg")}.SaveSeen([]byte(c.Quorum.Config.String())), "zoo.cfg.dynamic.next.tmp"},
	} {
		if e.err == nil || !strings.Contains(e.err.Error(), e.want) {
			t.Errorf("%s: %v", e.name, e.err)
		}
	}
	s.write("zoo.cfg", "a=\\u00\n")
	if err := s.d.Activate(&c.Quorum.Config); err == nil || !strings.Contains(err.Error(), "zoo.cfg:1: a: \\u00") {
		t.Errorf("malformed zoo.cfg: %v", err)
	}
	if got := s.read("zoo.cfg"); got != "a=\\u00\n" {
		t.Errorf("zoo.cfg is %q", got)
	}
}

// TestZooCfgStaysPrivate: the file may hold passwords.
func TestZooCfgStaysPrivate(t *testing.T) {
	s := newFiles(t, "before.cfg")
	s.do(os.Chmod(s.d.Static, 0o600))
	s.do(s.d.Activate(&s.load().Quorum.Config))
	for _, name := range []string{"zoo.cfg", "zoo.cfg.bak"} {
		info, err := os.Stat(filepath.Join(s.dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestNamesBeyondASCII(t *testing.T) {
	s := newFiles(t, "before.cfg")
	c := &quorum.Config{Version: 7, Members: []quorum.Member{
		{ID: 2, Addrs: []quorum.PeerAddr{{Host: "zoé", Quorum: 1, Election: 2}}, Client: proto.HostPort{Host: "h", Port: 50993}},
		{ID: 3, Addrs: []quorum.PeerAddr{{Host: "b", Quorum: 1, Election: 2}}},
	}}
	s.do(s.d.Activate(c))
	if got := s.load().Quorum.Config; got.String() != c.String() {
		t.Errorf("%v", &got)
	}
}
