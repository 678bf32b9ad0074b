package interop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"zebu/internal/peers"
)

// cliCase is a session with an interactive client, fed from its standard input.
type cliCase struct {
	name    string
	command func(t *testing.T, addr string) []string
	input   string
	// answered, if set, is what the client prints when it has executed a command: it works asynchronously, so the next one
	// is held back until then, and its lines are compared as a set.
	answered *regexp.Regexp
}

var cliCases = []cliCase{
	{
		name: "zkCli",
		command: func(t *testing.T, addr string) []string {
			return []string{"java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-Dzebu.peers.level=ERROR", "-cp", apache39(t).ClassPath(),
				"org.apache.zookeeper.ZooKeeperMain", "-server", addr}
		},
		input: `create /cli data
create -s /cli/s- one
create -e /cli/e two
create -c /cli/c
create -t 100000 /cli/t ttl
create /cli again
ls -s /cli
ls -R /
get -s /cli
set -s /cli changed
set -v 0 /cli stale
stat /cli
stat /none
getAcl -s /cli
whoami
addauth digest joe:secret
create /cli/mine x auth::cdrwa
getAcl /cli/mine
setAcl /cli/mine world:anyone:r
set /cli/mine y
getEphemerals
getAllChildrenNumber /cli
setquota -n 10 -b 1000 /cli
listquota /cli
delquota /cli
sync /
delete /cli
delete /cli/t
deleteall /cli
ls /
addWatch -m PERSISTENT /w
config
version
quit
`,
	},
	{
		name: "cli_mt",
		command: func(t *testing.T, addr string) []string {
			cli := "/usr/lib/zookeeper/bin/cli_mt"
			if found, err := exec.LookPath("cli_mt"); err == nil {
				cli = found
			}
			if _, err := os.Stat(cli); err != nil {
				have(t, &peers.Missing{What: "the C client's shell", Why: "no " + cli + " (Debian package zookeeper-bin)"})
			}
			return []string{cli, addr}
		},
		input: `create +e /ce
create /cp
create +s /cs-
create2 /c2
set /cp value
get /cp
ls /
ls2 /
get /none
delete /none
sync /
delete /cp
delete /ce
quit
`,
		answered: regexp.MustCompile(`rc = -?\d+|Error -?\d+|new session id`),
	},
}

// What differs from run to run: times, session ids, ports, banners of the client.
var cliNoise = []struct{ pattern, with string }{
	{`127\.0\.0\.1:\d+`, "ADDR"},
	{`0x[0-9a-f]{12,}`, "SESSION"},
	{`\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \w+ \d{4}`, "TIME"},
	{`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[,.]\d+:[^@]*@`, "LOG@"},
	{`(ctime|mtime)=\d+\D[^ ]*`, "$1=TIME"},
	{`(?i)(time out|timeout)[^\n]*`, "TIMEOUT"},
	{`elapsed \d+`, "elapsed N"},
	{`time = -?\d+ msec`, "time = N msec"},
	{`\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}`, "TIME"},
	{`[^\n]*(Xid|xid)=[^\n]*\n`, ""},
}

// lastEvent is the event of its own end, which the client may or may not print before it ends.
var lastEvent = regexp.MustCompile(`WATCHER::\s*(WatchedEvent state:Closed.*)?\s*$`)

// TestCommandLineClients feeds the same commands to zkCli and to cli_mt on both servers and compares what they print.
func TestCommandLineClients(t *testing.T) {
	makers := bothMakers(t)
	for _, c := range cliCases {
		t.Run(c.name, func(t *testing.T) {
			var got [2]string
			for i, m := range makers {
				s := start(t, m, scenarioConfig(fmt.Sprintf("%s/%d", t.TempDir(), i)))
				got[i] = runCLI(t, c, s.Addr)
				stop(t, s)
			}
			if os.Getenv("INTEROP_SHOW") != "" {
				t.Log(got[0])
			}
			a, b := strings.Split(got[0], "\n"), strings.Split(got[1], "\n")
			if len(a) < strings.Count(c.input, "\n") {
				t.Fatalf("only %d lines:\n%s", len(a), got[0])
			}
			for i := range max(len(a), len(b)) {
				if i >= len(a) || i >= len(b) || a[i] != b[i] {
					t.Fatalf("from line %d on:\n%s:\n%s\n%s:\n%s", i+1, makers[0].Name(), strings.Join(a[min(i, len(a)):], "\n"),
						makers[1].Name(), strings.Join(b[min(i, len(b)):], "\n"))
				}
			}
		})
	}
}

func runCLI(t *testing.T, c cliCase, addr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := c.command(t, addr)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var text string
	if c.answered == nil {
		cmd.Stdin = strings.NewReader(c.input)
		out, err := cmd.CombinedOutput()
		if text = string(out); ctx.Err() != nil {
			t.Fatalf("%s did not end: %v\n%s", c.name, err, out)
		}
	} else {
		text = converse(t, ctx, cmd, c)
	}
	text = strings.TrimSpace(lastEvent.ReplaceAllString(text, ""))
	for _, n := range cliNoise {
		text = regexp.MustCompile(n.pattern).ReplaceAllString(text, n.with)
	}
	lines := strings.Split(text, "\n")
	if c.answered != nil {
		slices.Sort(lines)
	} else {
		// Another thread of the client's prints the events, before or after what the first command does.
		event := func(line string) int {
			if line == "" || line == "WATCHER::" || strings.HasPrefix(line, "WatchedEvent ") {
				return 1
			}
			return 0
		}
		slices.SortStableFunc(lines, func(a, b string) int { return event(a) - event(b) })
	}
	return strings.Join(lines, "\n")
}

// converse gives one command at a time.
func converse(t *testing.T, ctx context.Context, cmd *exec.Cmd, c cliCase) string {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	commands := strings.SplitAfter(c.input, "\n")
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&text, lines.Text())
		if c.answered.MatchString(lines.Text()) && len(commands) > 0 {
			if _, err := io.WriteString(in, commands[0]); err != nil {
				t.Fatalf("%s: %v\n%s", c.name, err, &text)
			}
			commands = commands[1:]
		}
	}
	_ = cmd.Wait() // what it printed counts
	if ctx.Err() != nil {
		t.Fatalf("%s did not end:\n%s", c.name, &text)
	}
	return text.String()
}
