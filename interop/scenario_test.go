package interop

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"zebu/internal/peers"
)

// A scenario is a text file, one step a line, `verb session arguments…`; # starts a comment. Most steps are requests and
// go to the driver; cut, heal, restart and await are done here. The driver answers each step with one line of
// `key=value` words (see normaliser). Steps whose verb is not among the driver's are left out on every server alike.

// A driver is one client library behind a line protocol.
type driver interface {
	// do executes one step and returns its result line.
	do(line string) (string, error)
	close()
}

// driverKind is how to start a driver, and what its library cannot do: verb -> reason. A verb followed by a space and a
// word restricts the exclusion to steps that contain this word; "scenario x" leaves out the whole of x.txt.
type driverKind struct {
	name  string
	start func(t *testing.T) driver
	lacks map[string]string

	mu      sync.Mutex
	skipped map[string]bool // what lacks applied to, for the report
}

// lacking returns why the driver cannot do a step, or "".
func (k *driverKind) lacking(words []string) string {
	for verb, why := range k.lacks {
		v, arg, _ := strings.Cut(verb, " ")
		if words[0] == v && (arg == "" || slices.Contains(words, arg)) {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.skipped == nil {
				k.skipped = map[string]bool{}
			}
			k.skipped[verb+": "+why] = true
			return why
		}
	}
	return ""
}

// argKinds says what the arguments of a verb are, after the session: p path, d data, a ACL, m create mode, anything
// else literally.
var argKinds = map[string]string{
	"create": "pdamx", "create2": "pdamx", "set": "pdx", "setacl": "pax",
}

var modeNumbers = map[string]string{"p": "0", "e": "1", "ps": "2", "es": "3", "c": "4", "ttl": "5", "ttls": "6"}

var aclNames = map[string]string{
	"open": "31:world:anyone", "readonly": "1:world:anyone", "creator": "31:auth:", "none": "-",
}

// encodeArg translates a word of the scenario to the driver protocol.
func encodeArg(kind byte, w string) string {
	switch kind {
	case 'd':
		switch {
		case w == "null":
			return "-"
		case w == "empty":
			return "="
		case strings.HasPrefix(w, "x*"): // that many bytes
			n, _ := strconv.Atoi(w[2:])
			return hex.EncodeToString([]byte(strings.Repeat("x", n)))
		}
		return hex.EncodeToString([]byte(w))
	case 'a':
		if a, ok := aclNames[w]; ok {
			return a
		}
	case 'm':
		if m, ok := modeNumbers[w]; ok {
			return m
		}
	}
	return w
}

func encodeArgs(verb string, args []string) string {
	kinds := argKinds[verb]
	for i, w := range args {
		if i < len(kinds) {
			args[i] = encodeArg(kinds[i], w)
		}
	}
	return strings.Join(append([]string{verb}, args...), " ")
}

// encodeStep translates a step to the driver protocol.
func encodeStep(words []string) string {
	verb, session, args := words[0], words[1], slices.Clone(words[2:])
	if verb != "multi" && verb != "multiread" {
		line := encodeArgs(verb, args)
		return verb + " " + session + line[len(verb):]
	}
	var ops []string
	for op := range strings.SplitSeq(strings.Join(args, " "), " | ") {
		w := strings.Fields(op)
		ops = append(ops, encodeArgs(w[0], w[1:]))
	}
	return verb + " " + session + " " + strings.Join(ops, " | ")
}

// play is one run of a scenario on one server through one driver.
type play struct {
	t       *testing.T
	kind    *driverKind
	maker   peers.Maker
	server  *peers.Server
	driver  driver
	proxies map[string]*proxy
	absent  map[string]bool // sessions that the driver cannot open
	norm    *normaliser
	// result lines by scenario line
	lines []string
}

// run plays the scenario's steps and returns one line for each: the step and its normalised result.
func (p *play) run(text string) []string {
	for i, line := range strings.Split(text, "\n") {
		if words := strings.Fields(strings.Split(line, "#")[0]); len(words) > 0 {
			began := time.Now()
			p.lines = append(p.lines, fmt.Sprintf("%3d %s => %s", i+1, strings.Join(words, " "), p.step(words)))
			if took := time.Since(began); took > 3*time.Second {
				p.t.Logf("%s on %s: line %d, %s, took %v", p.kind.name, p.maker.Name(), i+1, line, took)
			}
		}
	}
	return p.lines
}

func (p *play) step(words []string) string {
	if p.kind.lacking(words) != "" {
		if words[0] == "resume" {
			p.absent[words[1]] = true
		}
		return "left out"
	}
	if s := words[min(1, len(words)-1)]; p.absent[s] {
		return "left out" // with the step that would have opened the session
	}
	switch words[0] {
	case "cut":
		p.proxies[words[1]].set(p.server.Addr, true)
		return p.do("waitstate " + words[1] + " disconnected")
	case "heal":
		p.proxies[words[1]].set(p.server.Addr, false)
		return "ok"
	case "restart":
		return p.restart(len(words) > 1 && words[1] == "kill")
	case "await":
		return p.await(words[1:])
	case "eventset": // where the order is a hash table's, or the client's
		out := p.do("events " + words[1])
		events := strings.Split(strings.TrimPrefix(out, "events="), ";")
		slices.Sort(events)
		return "events=" + strings.Join(events, ";")
	case "close":
		p.proxies[words[1]].closed = true
	case "connect", "resume":
		return p.connect(words)
	}
	return p.do(encodeStep(words))
}

func (p *play) do(line string) string {
	p.t.Helper()
	out, err := p.driver.do(line)
	if err != nil {
		p.t.Fatalf("%s on %s: %s: %v\nso far:\n%s", p.kind.name, p.maker.Name(), line, err, strings.Join(p.lines, "\n"))
	}
	return p.norm.line(line, out)
}

// connect opens a session, by default of thirty seconds, through a proxy of its own: connect S [ms]; or takes over the
// session of another one: resume S OLD [badpassword].
func (p *play) connect(words []string) string {
	s := words[1]
	px := newProxy(p.t, p.server.Addr)
	p.proxies[s] = px
	if words[0] == "connect" {
		timeout := "30000"
		if len(words) > 2 {
			timeout = words[2]
		}
		return p.do(fmt.Sprintf("connect %s %s %s", s, px.addr(), timeout))
	}
	old := p.norm.sessions[words[2]]
	passwd := old.passwd
	if len(words) > 3 {
		passwd = strings.Repeat("01", 16)
	}
	return p.do(fmt.Sprintf("resume %s %s 30000 %s %s", s, px.addr(), old.id, passwd))
}

// restart stops the server, with SIGTERM or SIGKILL, and starts it on the same directory. Clients reconnect.
func (p *play) restart(kill bool) string {
	var open []*proxy
	for name, px := range p.proxies {
		if !px.isCut() && !px.closed {
			px.set(p.server.Addr, true)
			open = append(open, px)
			p.do("waitstate " + name + " disconnected")
		}
	}
	c := p.server.Config
	// ZooKeeper keeps nothing for a clean shutdown, which at times takes it ten seconds: killing it comes to the same.
	if _, java := p.maker.(*peers.Java); kill || java {
		p.server.Kill()
	} else {
		stop(p.t, p.server)
	}
	p.server = start(p.t, p.maker, c)
	for _, px := range open {
		px.set(p.server.Addr, false)
	}
	return "ok"
}

// await waits until a node is there or gone: await S there|gone PATH.
func (p *play) await(words []string) string {
	want := "err="
	if words[1] == "there" {
		want = "stat="
	}
	line := "exists " + words[0] + " " + words[2] + " 0"
	poll(p.t, 20*time.Second, strings.Join(words, " "), func() bool {
		out, err := p.driver.do(line)
		if err != nil {
			p.t.Fatalf("%s: %v", line, err)
		}
		return strings.HasPrefix(out, want)
	})
	return "ok"
}

// drivers are the four client libraries.
func drivers() []*driverKind {
	return []*driverKind{javaDriver(), pythonDriver(), cDriver(), goDriver()}
}

// scenarioConfig is the server's configuration in scenarios.
func scenarioConfig(dir string) peers.Config {
	return peers.Config{
		Dir:        dir,
		Extra:      []string{"minSessionTimeout=1000", "maxSessionTimeout=60000"},
		Properties: append([]string{"zookeeper.enforceQuota=true"}, properties...),
	}
}

// TestScenarios plays every scenario through every driver on Apache ZooKeeper and on zebu and compares line by line.
func TestScenarios(t *testing.T) {
	makers := bothMakers(t)
	files, err := filepath.Glob("scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, kind := range drivers() {
		t.Run(kind.name, func(t *testing.T) {
			t.Cleanup(func() {
				for s := range kind.skipped {
					t.Logf("%s leaves out %s", kind.name, s)
				}
			})
			for _, file := range files {
				name := strings.TrimSuffix(filepath.Base(file), ".txt")
				if kind.lacking([]string{"scenario", name}) != "" {
					continue
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel() // the clients mostly wait: to reconnect, to expire
					compareScenario(t, kind, file, makers)
				})
			}
		})
	}
}

func compareScenario(t *testing.T, kind *driverKind, file string, makers [2]peers.Maker) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got [2][]string
	for i, m := range makers {
		p := &play{t: t, kind: kind, maker: m, proxies: map[string]*proxy{}, absent: map[string]bool{}, norm: newNormaliser()}
		p.server = start(t, m, scenarioConfig(filepath.Join(t.TempDir(), m.Name())))
		p.driver = kind.start(t)
		got[i] = p.run(string(text))
		p.driver.close()
		if err := p.server.Stop(); err != nil {
			t.Error(err)
		}
	}
	if os.Getenv("INTEROP_SHOW") != "" {
		t.Logf("transcript on %s:\n%s", makers[0].Name(), strings.Join(got[0], "\n"))
	}
	differences := 0
	for i := range min(len(got[0]), len(got[1])) {
		if got[0][i] != got[1][i] {
			t.Errorf("%s\n  %-13s%s\n  %-13s%s", filepath.Base(file), makers[0].Name(), got[0][i], makers[1].Name(), got[1][i])
			if differences++; differences == 15 {
				t.Fatal("and so on")
			}
		}
	}
}
