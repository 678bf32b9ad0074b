package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"zebu/internal/client"
	"zebu/internal/freeport"
	"zebu/server/servertest"
)

// outcome is what a run of the shell left.
type outcome struct {
	out, err string
	code     int
}

// run runs the shell with options, one command, or lines of input.
func run(t *testing.T, o Options, input string, command ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	o.In, o.Out, o.Err, o.Command, o.Version = strings.NewReader(input), &out, &errs, command, "test"
	code := Run(ctx, o)
	return outcome{out.String(), errs.String(), code}
}

// bench is a server with a small tree.
func bench(t *testing.T) Options {
	t.Helper()
	o := Options{Server: servertest.Start(t)}
	got := run(t, o, `create /app root
create /app/a one
create /app/a/x
create /app/b "two words"
create "/app/with space" 'it is'
`)
	if got.code != 0 {
		t.Fatal(got.err)
	}
	return o
}

// TestCommands checks what commands print and how they end: text on standard output, and parts of standard error.
func TestCommands(t *testing.T) {
	for _, c := range []struct {
		name, input string
		out         string // a regular expression for all of it
		err         string // a part
		code        int
	}{
		{"ls", "ls /app", `\[a, b, with space\]`, "", 0},
		{"ls root", "ls /", `\[app, zookeeper\]`, "", 0},
		{"ls -s", "ls -s /app/a", `\[x\]\ncZxid = 0x\w+\nctime = \w+ \w+ \d+ [\d:]+ \w+ \d+\nmZxid = 0x\w+\nmtime = .*\npZxid = .*\ncversion = 1\n` +
			`dataVersion = 0\naclVersion = 0\nephemeralOwner = 0x0\ndataLength = 3\nnumChildren = 1`, "", 0},
		{"ls -R", "ls -R /app", "/app\n/app/a\n/app/b\n/app/with space\n/app/a/x", "", 0},
		{"ls of nothing", "ls /none", "", "Node does not exist: /none\n  ls / shows", ExitNoNode},
		{"get", `get "/app/with space"`, "it is", "", 0},
		{"get null", "get /app/a/x", "null", "", 0},
		{"get -b", "get -b /app/b", "dHdvIHdvcmRz", "", 0},
		{"get -sw", "get -sw /app/b", "two words\ncZxid(.|\n)*", "", 0},
		{"old form", "get /app/b true", "two words", "'get path [watch]' has been deprecated", 0},
		{"get -x", "get -x /app/b", `         \+-{49}\+\n         \|  0  1.* f \|\n\+-{8}\+-{49}\+-{16}\+\n` +
			`\|00000000\| 74 77 6f 20 77 6f 72 64 73                      \|two words       \|\n\+-{8}\+-{49}\+-{16}\+`, "", 0},
		{"set", "set -v 0 /app/b new\nget /app/b", "new", "", 0},
		{"set -s", "set /app/b -s new", "cZxid(.|\n)*dataVersion = 1\n(.|\n)*", "", 0},
		{"set -b", "set -b /app/b aGk=\nget /app/b", "hi", "", 0},
		{"set: bad base64", "set -b /app/b ???", "", "not base64", ExitUsage},
		{"set: version", "set -v 7 /app/b new", "", "version No is not valid : /app/b\n  Someone changed it", ExitConflict},
		{"set: no number", "set -v x /app/b new", "", "expected a whole number", ExitUsage},
		{"set: no data", "set /app/b", "", "Usage: set", ExitUsage},
		{"dash data", "set /app/b -5", "", "put -- before it", ExitUsage},
		{"dash data after --", "set -- /app/b -5\nget /app/b", "-5", "", 0},
		{"create -s", "create -s /app/s- x\nls /app", `\[a, b, s-0000000003, with space\]`, "Created /app/s-0000000003", 0},
		{"create -e", "create -e /app/e x\ngetEphemerals\ncreate /app/e/x", `\[/app/e\]`, "Ephemerals cannot have children: /app/e/x", ExitConflict},
		{"create -c -t", "create -c -t 5 /app/c", "", "TTLs cannot be used with Container", ExitUsage},
		{"create -c -s", "create -c -s /app/c", "", "cannot be combined", ExitUsage},
		{"create -t", "create -t 1000 /app/t\ncreate -s -t 1000 /app/t\nls /app", `\[a, b, t, t0000000004, with space\]`, "Created /app/t0000000004", 0},
		{"create -t 0", "create -t 0 /app/t", "", "ttl must be positive", ExitUsage},
		{"create with ACL", "create /app/r x world:anyone:r,ip:10.0.0.0/8:cdrwa\ngetAcl /app/r", "'world,'anyone\n: r\n'ip,'10.0.0.0/8\n: cdrwa", "", 0},
		{"create: bad ACL", "create /app/r x world:anyone", "", "scheme:id:perm", ExitUsage},
		{"create: bad letter", "create /app/r x world:anyone:rx", "", "Unknown perm type: x", ExitUsage},
		{"create: bad id", "create /app/r x world:nobody:r", "", "Acl is not valid : /app/r", ExitPermission},
		{"create twice", "create /app", "", "Node already exists: /app", ExitConflict},
		{"create an orphan", "create /no/x", "", "Its parent is missing: create /no first.", ExitNoNode},
		{"delete", "delete /app/b\nls /app", `\[a, with space\]`, "", 0},
		{"delete: children", "delete /app", "", "Node not empty: /app\n  deleteall /app", ExitConflict},
		{"delete: version", "delete -v 3 /app/b", "", "version No is not valid", ExitConflict},
		{"delete: old form", "delete /app/b 0", "", "deprecated", 0},
		{"deleteall", "deleteall /app\nls /", `\[zookeeper\]`, "", 0},
		{"deleteall in batches", "deleteall /app -b 2\nls /", `\[zookeeper\]`, "", 0},
		{"deleteall one by one", "deleteall -b 0 /app\nls /", `\[zookeeper\]`, "", 0},
		{"stat", "stat /app", "cZxid(.|\n)*numChildren = 3", "", 0},
		{"sync", "sync /", "Sync is OK", "", 0},
		{"count", "getAllChildrenNumber /app", "4", "", 0},
		{"getAcl -s", "getAcl -s /app", "'world,'anyone\n: cdrwa\ncZxid(.|\n)*", "", 0},
		{"setAcl", "setAcl /app/a world:anyone:r\nset /app/a x", "", "Insufficient permission : /app/a\n  getAcl /app/a tells", 0 + ExitPermission},
		{"setAcl -R", "setAcl -R /app world:anyone:ra\ngetAcl /app/a/x", "'world,'anyone\n: ra", "", 0},
		{"addauth", "addauth digest joe:pw\ncreate /app/j x auth::r\ngetAcl /app/j\nwhoami", "'digest,'joe:x\n: r\nAuth scheme: User\n(ip: 127.0.0.1\ndigest: joe|digest: joe\nip: 127.0.0.1)", "", 0},
		{"addauth: unknown", "addauth nope x", "", "AuthFailed", ExitPermission},
		{"quota", "setquota -n 9 -B 99 /app\nlistquota /app\ndelquota -n /app\nlistquota /app\ndelquota /app\nls /zookeeper/quota",
			"Output quota for /app count=9,bytes=-1=;byteHardLimit=99;countHardLimit=-1\nOutput stat for /app count=5,bytes=21\n" +
				"Output quota for /app count=-1,bytes=-1=;byteHardLimit=99;countHardLimit=-1\nOutput stat for /app count=5,bytes=21\n\\[\\]", "absolute path is /zookeeper/quota/app/zookeeper_limits", 0},
		{"quota too small", "setquota -b 3 /app", `\[Warning\]: the bytes quota you create is less than the existing bytes:21`, "", 0},
		{"quota below another", "setquota -n 5 /app\nsetquota -n 5 /app/a", "(?s).*", "/app/a has a parent /app which has a quota", ExitUsage},
		{"quota above another", "setquota -n 5 /app/a\nsetquota -n 50 /app", "", "/app has a child /app/a which has a quota", ExitUsage},
		{"quota of nothing", "setquota -n 5 /none", "", "/none does not exist.", ExitNoNode},
		{"quota of the quotas", "setquota -n 5 /zookeeper/quota", "", "cannot set a quota under", ExitUsage},
		{"quota 0", "setquota -n 0 /app", "", "must be greater than zero", ExitUsage},
		{"no quota", "listquota /app", "", "quota for /app does not exist.", ExitNoNode},
		{"delete no quota", "delquota /app", "", "Quota does not exist for /app", ExitNoNode},
		{"config", "config", "", "", 0},
		{"reconfig", "reconfig -add 3=h:1:2;3", "", "KeeperErrorCode = ", ExitFailed},
		{"reconfig: mixed", "reconfig -add 3=h:1:2;3 -members x", "", "cannot be used together", ExitUsage},
		{"watch event", "get -w /app\nset /app x\nremovewatches /app", "root\n\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeDataChanged path:/app zxid: 9", "No such watcher for /app", ExitFailed},
		{"addWatch", "addWatch /app\nset /app/a x\nremovewatches /app -r", "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeDataChanged path:/app/a zxid: 9\n" +
			"\nWATCHER::\n\nWatchedEvent state:SyncConnected type:PersistentWatchRemoved path:/app zxid: -1", "", 0},
		{"addWatch -m", "addWatch -m persistent /app\nset /app/a x\ncreate /app/n", "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeChildrenChanged path:/app zxid: 10", "", 0},
		{"addWatch: mode", "addWatch -m nope /app", "", "Usage: addWatch", ExitUsage},
		{"printwatches", "printwatches\nprintwatches off\nget -w /app\nset /app x\nprintwatches", "printwatches is on\nroot\nprintwatches is off", "", 0},
		{"history", "ls /\nhistory\nredo 0\nredo 9\nredo x", `\[app, zookeeper\]\n0 - ls /\n1 - history\n\[app, zookeeper\]`, "Command index out of range", ExitUsage},
		{"redo of redo", "version\nredo 0\nredo 1\nhistory", "ZooKeeper CLI version: test\nZooKeeper CLI version: test\nZooKeeper CLI version: test\n0 - version\n1 - version\n2 - version\n3 - history", "", 0},
		{"close", "close\nls /", "", "Not connected\n  connect opens", ExitConnection},
		{"close and connect", "close\nconnect\nls /", `\[app, zookeeper\]`, "", 0},
		{"connect: bad", "connect h:x", "", "not a port", ExitUsage},
		{"quit", "quit\nls /", "", "", 0},
		{"quit after a failure", "get /none\nquit", "", "Node does not exist", ExitNoNode},
		{"unknown", "lss /", "", "Command not found: lss\n  Did you mean ls?", ExitUnknown},
		{"unknown far", "frobnicate", "", "help lists the commands.", ExitUnknown},
		{"unknown flag", "ls -q /", "", "Unrecognized option: -q\nls [-s] [-w] [-R] path", ExitUsage},
		{"flag without value", "set /app x -v", "", "Missing argument for option: v", ExitUsage},
		{"too few", "ls", "", "Usage: ls", ExitUsage},
		{"bad path", "ls app", "", `path "app" must start with /`, ExitUsage},
		{"blank lines", "\n  \nversion\r\n\n", "ZooKeeper CLI version: test", "", 0},
		{"help", "help ls", "ls \\[-s\\] \\[-w\\] \\[-R\\] path\n(.|\n)*-o json\\|text .*", "", 0},
		{"help of nothing", "help nope", "", "Command not found: nope", ExitUnknown},
		{"tree", "tree /app", "/app\n├── a\n│   └── x\n├── b\n└── with space", "", 0},
		{"tree -d -s", "tree -d 1 -s /app", `/app \[4\]\n├── a \[3\]\n├── b \[9\]\n└── with space \[5\]`, "", 0},
		{"tree -d 0", "tree -d 0 /app", "", "expected at least 1", ExitUsage},
		{"find", "find /app -name [ab]", "/app/a\n/app/b", "", 0},
		{"find -min", "find /app -min 5", "/app/b\n/app/with space", "", 0},
		{"find -empty", "find -empty /app", "/app/a/x", "", 0},
		{"find -type", "create -e /app/e\nfind -type e", "/app/e", "", 0},
		{"find nothing", "find /app -name z*", "", "", ExitNo},
		{"find: bad pattern", "find /app -name [", "", "not a pattern", ExitUsage},
		{"grep", "grep w.r /app", "/app/b:1:two words", "", 0},
		{"grep -l -i", "grep -l -i IT /app", "/app/with space", "", 0},
		{"grep -F", "grep -F w.r /app", "", "", ExitNo},
		{"grep: bad pattern", "grep ( /app", "", "missing closing )", ExitUsage},
		{"du", "du /app", " +BYTES +NODES +PATH\n +21 +5 +/app\n +3 +2 +/app/a\n +9 +1 +/app/b\n +5 +1 +/app/with space", "", 0},
		{"du -d 0", "du -d 0 /app", " +BYTES +NODES +PATH\n +21 +5 +/app", "", 0},
		{"diff", "create /two root\ncreate /two/a other\ncreate /two/n\ndiff /app /two", "~ /a\n- /a/x\n- /b\n\\+ /n\n- /with space", "", ExitNo},
		{"diff of the same", "diff /app /app", "", "", 0},
		{"diff with nothing", "diff /app", "", "something to compare with", ExitUsage},
		{"-o json", "ls /app -o json", `{"path":"/app","children":\["a","b","with space"\]}`, "", 0},
		{"-o nonsense", "ls /app -o xml", "", "expected json or text", ExitUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := run(t, bench(t), c.input)
			if text := strings.TrimSuffix(got.out, "\n"); !regexp.MustCompile("^(?:" + c.out + ")$").MatchString(text) {
				t.Errorf("printed\n%s\nwant\n%s", text, c.out)
			}
			if !strings.Contains(got.err, c.err) || c.code == 0 && strings.Contains(got.err, "KeeperError") {
				t.Errorf("said\n%s\nwant\n%s", got.err, c.err)
			}
			if got.code != c.code {
				t.Errorf("exit code %d, want %d\n%s", got.code, c.code, got.err)
			}
		})
	}
}

// TestJSON checks that every command's result is JSON lines, and what some of them say.
func TestJSON(t *testing.T) {
	o := bench(t)
	o.JSON = true
	lines := run(t, o, `ls -s /app
get -s /app/b
get /app/a/x
set /app/b new
create -s /app/s- x
stat /app
sync /
getEphemerals
getAllChildrenNumber /app
getAcl -s /app
setAcl /app world:anyone:cdrwa
addauth digest u:p
whoami
setquota -n 90 /app
listquota /app
delquota /app
config
version
history
printwatches
addWatch /r
removewatches /r
tree /app
find /app
grep two /app
du /app
help
delete /app/b
deleteall /app
`)
	if lines.code != 0 || lines.err != "" {
		t.Errorf("%d %s", lines.code, lines.err)
	}
	n := 0
	for line := range strings.Lines(lines.out) {
		if strings.HasPrefix(line, "\n") || strings.HasPrefix(line, "WATCHER") || strings.HasPrefix(line, "WatchedEvent") {
			continue
		}
		n++
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if n < 29 {
		t.Errorf("%d lines", n)
	}
	var v struct {
		Path, Data string
		Stat       struct{ DataLength int }
	}
	if err := json.Unmarshal([]byte(run(t, o, "", "get", "-s", "/zookeeper").out), &v); err != nil || v.Path != "/zookeeper" || v.Stat.DataLength != 0 {
		t.Errorf("%+v %v", v, err)
	}
	got := run(t, o, "", "get", "/none")
	want := `{"error":{"code":"NONODE","path":"/none","message":"Node does not exist: /none","hint":"ls / shows what there is."}}` + "\n"
	if got.err != want || got.code != ExitNoNode || got.out != "" {
		t.Errorf("%+v", got)
	}
}

// TestBinary checks data that is no text: from standard input, as JSON, and out again.
func TestBinary(t *testing.T) {
	o := bench(t)
	if got := run(t, o, "\x00\x01\xff", "set", "-f", "-", "/app"); got.code != 0 {
		t.Error(got.err)
	}
	o.JSON = true
	if got := run(t, o, "", "get", "/app"); got.out != `{"path":"/app","base64":"AAH/"}`+"\n" {
		t.Error(got.out)
	}
}

// TestNoServer checks how fast and how a shell without a server ends.
func TestNoServer(t *testing.T) {
	port, err := freeport.Next()
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprint("127.0.0.1:", port)
	got := run(t, Options{Server: addr}, "", "ls", "/")
	if got.code != ExitConnection || !strings.Contains(got.err, "connection refused") || !strings.Contains(got.err, "-server HOST:PORT") {
		t.Errorf("%+v", got)
	}
	got = run(t, Options{Server: addr, Wait: true, Timeout: 50 * time.Millisecond}, "", "ls", "/")
	if got.code != ExitConnection {
		t.Errorf("%+v", got)
	}
	if got = run(t, Options{Server: "h:x"}, "", "ls", "/"); got.code != ExitUsage {
		t.Errorf("%+v", got)
	}
}

// TestCompat checks what only zkCli's own mode does: banners, exit codes, no hints.
func TestCompat(t *testing.T) {
	o := bench(t)
	o.Compat = true
	got := run(t, o, "get /none\nclose\nls /\n")
	state := "\nWATCHER::\n\nWatchedEvent state:%s type:None path:null zxid: -1\n"
	want := "Connecting to " + o.Server + "\nWelcome to ZooKeeper!\nJLine support is disabled\n" + fmt.Sprintf(state, "SyncConnected") +
		fmt.Sprintf(state, "Closed") + "Not connected\n"
	if got.out != want || got.err != "Node does not exist: /none\n" || got.code != 0 {
		t.Errorf("%d %s\n%s\nwant\n%s", got.code, got.err, got.out, want)
	}
	for command, code := range map[string]int{"get /none": 1, "ls": 1, "ls /": 0, "foo": 127, "ls -q /": 1, "create /app": 1, "listquota /app": 0} {
		if got := run(t, o, "", strings.Fields(command)...); got.code != code {
			t.Errorf("%s: exit code %d, want %d\n%s", command, got.code, code, got.err)
		}
	}
}

// TestChroot runs commands below a chroot, quotas included: those live outside it.
func TestChroot(t *testing.T) {
	o := bench(t)
	below := o
	below.Server += "/app"
	got := run(t, below, "ls /\nget /b\ncreate -s /s- x\nsetquota -n 20 /a\nlistquota /a\nget -w /a\nset /a y\n")
	for _, part := range []string{"[a, b, with space]", "two words", "Output stat for /a count=2", "path:/a zxid"} {
		if !strings.Contains(got.out, part) {
			t.Errorf("no %q in\n%s", part, got.out)
		}
	}
	if !strings.Contains(got.err, "Created /s-0000000003") || got.code != 0 {
		t.Errorf("%d %s", got.code, got.err)
	}
	if got := run(t, o, "", "listquota", "/app/a"); got.code != 0 {
		t.Error(got.err)
	}
}

// TestExpiredSession loses a session between two commands: the next command says so and goes on with a new one.
func TestExpiredSession(t *testing.T) {
	o := bench(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cut := make(chan struct{})
	go func() {
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if i == 1 { // the session is not known any more
				c.Read(make([]byte, 100))
				c.Write([]byte{3: 37, 40: 0})
				c.Close()
				continue
			}
			server, err := net.Dial("tcp", o.Server)
			if err != nil {
				t.Error(err)
				return
			}
			go func() { io.Copy(server, c); server.Close() }()
			go func() { io.Copy(c, server); c.Close() }()
			if i == 0 {
				go func() { <-cut; c.Close() }()
			}
		}
	}()
	in, say := io.Pipe()
	out := &lockedBuffer{more: make(chan struct{}, 1)}
	code := make(chan int, 1)
	go func() {
		code <- Run(t.Context(), Options{Server: l.Addr().String(), In: in, Out: out, Err: out, Compat: true})
	}()
	fmt.Fprintln(say, "get /app")
	out.await(t, "root")
	close(cut)
	out.await(t, "state:Expired")
	fmt.Fprintln(say, "get /app/b")
	out.await(t, "This is a new session.")
	out.await(t, "two words")
	say.Close()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
}

// lockedBuffer is a buffer that is read while a shell writes it.
type lockedBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{}
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() {
		select {
		case l.more <- struct{}{}:
		default:
		}
	}()
	return l.b.Write(p)
}

func (l *lockedBuffer) await(t *testing.T, part string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		text := l.b.String()
		l.mu.Unlock()
		if strings.Contains(text, part) {
			return
		}
		select {
		case <-l.more:
		case <-limit:
			t.Fatalf("no %q in\n%s", part, text)
		}
	}
}

// TestWatch follows a subtree while another shell changes it.
func TestWatch(t *testing.T) {
	o := bench(t)
	out := &lockedBuffer{more: make(chan struct{}, 1)}
	w := o
	w.In, w.Out, w.Err, w.Command = strings.NewReader(""), out, out, []string{"watch", "-n", "4", "-d", "/app"}
	code := make(chan int, 1)
	go func() { code <- Run(t.Context(), w) }()
	out.await(t, "Watching /app")
	if got := run(t, o, "set /app/a changed\n"); got.code != 0 {
		t.Fatal(got.err)
	}
	out.await(t, "changed  /app/a  version 1, 7 bytes: changed")
	run(t, o, "create /app/n\nset /elsewhere x\ndelete /app/n\nset /app x\n")
	out.await(t, "created  /app/n")
	out.await(t, "deleted  /app/n")
	out.await(t, "changed  /app  version 1, 1 bytes: x")
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out = &lockedBuffer{more: make(chan struct{}, 1)}
	w.Out, w.Err, w.Command, w.JSON = out, out, []string{"watch", "/app"}, true
	go func() { code <- Run(ctx, w) }()
	for seen := false; !seen; { // in JSON nothing tells when it begins
		run(t, o, "set /app again\n")
		select {
		case <-out.more:
			seen = true
		default:
		}
	}
	out.await(t, `"event":"changed","path":"/app"`)
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("interrupted: exit code %d", got)
	}
}

// TestTransfer exports in both formats, imports elsewhere, compares, and mirrors a change.
func TestTransfer(t *testing.T) {
	o := bench(t)
	run(t, o, "\x00\xff", "create", "-f", "-", "/app/bin")
	run(t, o, "setAcl /app/b world:anyone:ra\n")
	other := Options{Server: servertest.Start(t)}
	for _, format := range []string{"json", "yaml"} {
		file := filepath.Join(t.TempDir(), "export."+format)
		if got := run(t, o, "", "export", "-a", "/app", file); got.code != 0 || !strings.Contains(got.err, "Wrote 6 nodes") {
			t.Fatal(got.err)
		}
		if text, err := os.ReadFile(file); err != nil || strings.HasPrefix(string(text), "{") != (format == "json") {
			t.Errorf("%v\n%s", err, text)
		}
		dir := "/copy/of/" + format
		if got := run(t, other, "", "import", "-n", file, dir); got.code != 0 || !strings.Contains(got.err, "6 would be created") {
			t.Error(got.err)
		}
		if got := run(t, other, "", "import", file, dir); got.code != 0 || !strings.Contains(got.err, "6 created, 0 changed") {
			t.Error(got.err)
		}
		for _, args := range [][]string{{"diff", "-a", "/app", dir, "-server", other.Server}, {"diff", "/app", "-f", file}} {
			if got := run(t, o, "", args...); got.code != 0 || got.out != "" {
				t.Errorf("%v: %+v", args, got)
			}
		}
		run(t, other, "set "+dir+"/a mine\ncreate "+dir+"/new\ncreate "+dir+"/new/er\nsetAcl "+dir+"/b world:anyone:cdrwa\n")
		got := run(t, other, "", "diff", dir, "-f", file)
		if want := "~ /a\n~ /b\n- /new\n- /new/er\n"; got.code != ExitNo || got.out != want {
			t.Errorf("%+v", got)
		}
		if got := run(t, other, "", "import", file, dir); !strings.Contains(got.err, "0 created, 2 changed, 0 deleted, 4 were") {
			t.Error(got.err)
		}
		if got := run(t, other, "", "import", "-d", file, dir); !strings.Contains(got.err, "2 deleted") {
			t.Error(got.err)
		}
		if got := run(t, other, "", "diff", dir, "-f", file); got.code != 0 {
			t.Errorf("%+v", got)
		}
	}
	for text, part := range map[string]string{
		"root: /a\nnodes:\n- {path: x}":                                                "must start with /",
		"root: /a\nnodes:\n- {path: /x}\n- {path: /x}":                                 "twice",
		"root: /a\nnodes:\n- {path: /x, data: a, base64: aaaa}":                        "not both",
		"root: /a\nnodes:\n- {path: /x, base64: '?'}":                                  "illegal base64",
		"root: /a\nnodes:\n- {path: /x, acl: [{scheme: world, id: anyone, perms: q}]}": "Unknown perm",
		"root: a":      "root:",
		"nodes: 5":     "not an export",
		"other: thing": "not an export",
		"{\"root\": ":  "not an export",
	} {
		if got := run(t, o, text, "import", "-"); got.code != ExitUsage || !strings.Contains(got.err, part) {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

// TestSystemNodes checks that an export of everything leaves out what belongs to the servers.
func TestSystemNodes(t *testing.T) {
	o := bench(t)
	run(t, o, "create -e /app/eph\n") // ends with its shell
	got := run(t, o, "", "export", "/")
	if strings.Contains(got.out, "zookeeper") || !strings.Contains(got.out, `"/app/b"`) {
		t.Error(got.out)
	}
}

// TestConfigTexts checks what config -c and reconfig -file make of configurations.
func TestConfigTexts(t *testing.T) {
	text := "server.1=h:1:2:participant;k:3\nserver.2=h:4:5:observer;6\nserver.3=h:7:8\ngroup.1=1:2\nversion=10000000a\n"
	if got, want := clientConfig(text), "10000000a k:3,0.0.0.0:6,"; got != want {
		t.Errorf("%q", got)
	}
	if got := clientConfig(""); got != " " {
		t.Errorf("%q", got)
	}
	if got, want := members(text+" tickTime=5\n"), "server.1=h:1:2:participant;k:3,server.2=h:4:5:observer;6,server.3=h:7:8,group.1=1:2"; got != want {
		t.Errorf("%q", got)
	}
	if got := members("group.1=1\n"); got != "" {
		t.Errorf("%q", got)
	}
}

// FuzzLine gives the shell arbitrary lines, up to where a command would run.
func FuzzLine(f *testing.F) {
	for _, line := range []string{`set -v2 /a "b c"`, `ls -=x -- -s`, `reconfig -members=a -file`, `'`, `-`, "find -min=-1 -d"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words := split(line)
		if len(words) == 0 {
			return
		}
		for _, c := range commands {
			if _, args, err := parseFlags(c, words); err == nil && len(args) > len(words) {
				t.Errorf("%d arguments of %d words", len(args), len(words))
			}
		}
		nearest(words[0])
		_, _ = parseACL(line)
		_ = parseQuota(line).String()
	})
}

// FuzzDecodeExport gives import arbitrary files.
func FuzzDecodeExport(f *testing.F) {
	f.Add([]byte("root: /a\nnodes:\n- {path: /x, data: y, acl: [{scheme: world, id: anyone, perms: r}]}"))
	f.Add([]byte(`{"root":"/","nodes":[{"path":"/","base64":"AA=="}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, nodes, err := decode(text)
		if err == nil {
			for p := range nodes {
				if client.CheckPath(p) != nil {
					t.Errorf("path %q", p)
				}
			}
		}
	})
}
