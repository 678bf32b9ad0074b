package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"zebu/internal/peers"
)

// shells are Apache ZooKeeper's zkCli and ours, as their scripts run them.
func shells(t *testing.T) map[string]func(args ...string) []string {
	script, err := filepath.Abs("../dist/zkCli.sh")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(args ...string) []string{
		"zkCli": func(args ...string) []string {
			return append([]string{"java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-Dzebu.peers.level=ERROR", "-cp", apache39(t).ClassPath(),
				"org.apache.zookeeper.ZooKeeperMain"}, args...)
		},
		"zkCli.sh": func(args ...string) []string { return append([]string{script}, args...) },
	}
}

// shellScript is every command whose outcome does not depend on the order in which a server keeps its sets, each a line
// for both shells. Where zkCli has a fault, the script goes round it: flags of addWatch stick to the next addWatch.
const shellScript = `create /cli data
create -s /cli/s- one
create -e /cli/e two
create -c /cli/c
create -t 100000 /cli/t ttl
create -s -t 5000 /cli/st- ttl
create -e -s /cli/es- q
create /cli again
create /none/x y
create /cli/e/child x
create -c -s /cli/bad
create -t 0 /cli/bad
create "/cli/quoted node" "some data" world:anyone:cdrwa
create '/cli/empty' ''
create /cli/acl x ip:10.0.0.0/8:r,world:anyone:cdrwa
getAcl /cli/acl
get "/cli/quoted node"
get /cli/empty
ls /cli
ls -s /cli
ls -R /
ls -R /none
ls -R -s /cli/c
get -s /cli
get -b /cli
get -x /cli
get -x "/cli/quoted node"
get /cli/c
get /cli watch
set -s /cli changed
set /cli Y2hhbmdlZA== -b
get /cli
set -v 0 /cli stale
set -v2 /cli again
set -v=3 -s /cli again
stat /cli
stat /none
stat /cli true
set /cli once
getAcl -s /cli
getAcl /cli
whoami
addauth digest joe:secret
create /cli/mine x auth::cdrwa
getAcl /cli/mine
setAcl /cli/mine world:anyone:r
set /cli/mine y
setAcl -R /cli/c world:anyone:cdrwa
setAcl -s /cli/c world:anyone:cdra
setAcl -v 0 /cli/c world:anyone:cdra
getAcl /cli/c
getEphemerals /cli/es
getEphemerals /nothing
getAllChildrenNumber /cli
getAllChildrenNumber /none
setquota -n 2 /cli
listquota /cli
setquota -N 100 /cli
setquota -B 1000000 /cli
listquota /cli
setquota -n 2 /cli/c
setquota -b 2 /nope
setquota -n 0 /cli/c
delquota -n /cli
listquota /cli
delquota /cli
delquota /cli
listquota /cli
ls -R /zookeeper
sync /
sync /none
delete /cli
delete /cli/t 0
delete -v 7 /cli/c
delete -v 0 /cli/c
deleteall /cli -b 2
deleteall /none
ls /
addWatch -m PERSISTENT /w
create /w
create /w/x
set /w/x 1
deleteall /w
removewatches /w
removewatches /w
removewatches /nowatch
addWatch -m PERSISTENT_RECURSIVE /r
create /r
create /r/x
set /r/x 1
deleteall /r
removewatches /r -r
create /one a
get -w /one
stat -w /one
ls -w /one
set /one b
create /one/c
get -w /one
removewatches /one -d
ls -w /one
removewatches /one -c
deleteall /one
config
config -c
config -s
reconfig -add 5=h:1:2:participant;3
reconfig
printwatches
printwatches off
printwatches
create /p
get -w /p
set /p 1
printwatches on
history
redo 0
redo 999
foo
ls
get
set /x
ls relative
ls /trailing/
ls -q /
set /p -5
get /p
`

var shellNoise = []struct{ pattern, with string }{
	{`127\.0\.0\.1:\d+`, "ADDR"},
	{`\w{3} \w{3} \d+ [\d:]+ \w+ \d{4}`, "TIME"},
	{`0x1[0-9a-f]{14}`, "SESSION"},
	{`(?m)^SLF4J.*\n`, ""},
}

// runShell runs a shell and returns what it printed on standard output, without noise, and its exit code.
func runShell(t *testing.T, command []string, input string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "ZEBU="+zebu(t).Binary, "JVMFLAGS=", "CLIENT_JVMFLAGS=")
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v\n%s", command, err, &errs)
	}
	text := out.String()
	for _, n := range shellNoise {
		text = regexp.MustCompile(n.pattern).ReplaceAllString(text, n.with)
	}
	return text, cmd.ProcessState.ExitCode()
}

// events cuts watch events out of an output: zkCli prints them from a thread of its own, before, after or between the lines
// that a command prints. They are returned by themselves. Empty lines, which frame events, do not count.
func events(text string) (rest, watched string) {
	var a, b strings.Builder
	for line := range strings.Lines(text) {
		switch {
		case line == "\n" || line == "WATCHER::\n":
		case strings.HasPrefix(line, "WatchedEvent "):
			b.WriteString(line)
		default:
			a.WriteString(line)
		}
	}
	return a.String(), b.String()
}

// unprinted is of the event that comes while watches are not printed. zkCli's own thread for events may look only when the next
// command has turned printing on again.
const unprinted = "path:/p "

// TestShells feeds the same script to both shells on both servers: scripts that read their standard output must not be
// able to tell which it was.
func TestShells(t *testing.T) {
	t.Parallel()
	for i, m := range bothMakers(t) {
		t.Run(m.Name(), func(t *testing.T) {
			var rest, watched [2]string
			for j, name := range []string{"zkCli", "zkCli.sh"} {
				s := start(t, m, scenarioConfig(fmt.Sprintf("%s/%d%d", t.TempDir(), i, j)))
				text, code := runShell(t, shells(t)[name]("-server", s.Addr), shellScript)
				stop(t, s)
				if code != 0 {
					t.Errorf("%s: exit code %d", name, code)
				}
				rest[j], watched[j] = events(text)
			}
			if len(rest[0]) < 3000 || strings.Count(watched[0], "\n") < 18 {
				t.Fatalf("too little:\n%s\n%s", rest[0], watched[0])
			}
			sameLines(t, rest)
			if strings.Contains(watched[1], unprinted) {
				t.Errorf("zkCli.sh prints %q with printwatches off", unprinted)
			}
			for j := range watched {
				watched[j] = regexp.MustCompile(`(?m)^.*`+unprinted+`.*\n`).ReplaceAllString(watched[j], "")
			}
			sameLines(t, watched)
		})
	}
}

func sameLines(t *testing.T, got [2]string) {
	t.Helper()
	a, b := strings.Split(got[0], "\n"), strings.Split(got[1], "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			t.Errorf("from line %d on, zkCli:\n%s\nzkCli.sh:\n%s", i+1, strings.Join(a[min(i, len(a)):min(i+12, len(a))], "\n"),
				strings.Join(b[min(i, len(b)):min(i+12, len(b))], "\n"))
			return
		}
	}
}

// TestShellCommands runs single commands with both shells and compares standard output and exit code.
func TestShellCommands(t *testing.T) {
	t.Parallel()
	ref := peers.Maker(apache39(t))
	s := start(t, ref, scenarioConfig(t.TempDir()))
	both := shells(t)
	for _, args := range [][]string{
		{"create", "/a b", "one two"}, // the second finds it there
		{"get", "/a b"},
		{"set", "-s", "/a b", "x"},
		{"ls", "/none"},
		{"ls"},
		{"nonsense"},
		{"ls", "-q", "/"},
		{"-timeout", "5000", "-r", "-waitforconnection", "ls", "/"},
		{"whoami"},
		{"getAllChildrenNumber", "/"},
		{"delete", "-v", "9", "/a b"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			var rest [2]string
			var codes [2]int
			for j, name := range []string{"zkCli", "zkCli.sh"} {
				text, code := runShell(t, both[name](append([]string{"-server", s.Addr}, args...)...), "")
				rest[j], _ = events(text)
				codes[j] = code
			}
			if args[0] == "create" {
				codes[0] = 1 - codes[0] // it was not there yet
			}
			if args[0] == "set" { // one version and time further
				for j := range rest {
					rest[j] = regexp.MustCompile(`(mZxid|dataVersion) = \w+`).ReplaceAllString(rest[j], "$1")
				}
			}
			if codes[0] != codes[1] {
				t.Errorf("exit codes %d and %d", codes[0], codes[1])
			}
			sameLines(t, rest)
		})
	}
}

// TestShellScripts pipes a script into both shells: the exit code is that of the last command.
func TestShellScripts(t *testing.T) {
	t.Parallel()
	s := start(t, apache39(t), scenarioConfig(t.TempDir()))
	for input, want := range map[string]int{"get /none\n": 1, "get /none\nls /\n": 0, "nonsense\nquit\n": 127, "": 0} {
		for name, shell := range shells(t) {
			if _, code := runShell(t, shell("-server", s.Addr), input); code != want {
				t.Errorf("%s: %q: exit code %d, want %d", name, input, code, want)
			}
		}
	}
}
