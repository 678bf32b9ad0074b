package interop

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"zebu/internal/freeport"
	"zebu/internal/peers"
	"zebu/proto"
)

// ensembles bounds how many ensembles run at once: each is three or four processes, most of them Java.
var ensembles = make(chan struct{}, 2)

func memberPort(t *testing.T) int {
	t.Helper()
	port, err := freeport.Next()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// seat is one place in an ensemble: a data directory and ports, and whoever serves on them at the moment.
type seat struct {
	id                       int
	observer                 bool
	host                     string // for the other members
	dir                      string
	quorum, election, client int // ports
	etcd                     int // port of the etcd API, 0 without one
	maker                    peers.Maker
	server                   *peers.Server // nil when it does not run
	logged                   int           // length of the log at the last start
}

func (m *seat) addr() string { return fmt.Sprintf("127.0.0.1:%d", m.client) }

func (m *seat) String() string { return fmt.Sprintf("%d (%s)", m.id, m.maker.Name()) }

// spec is what comes behind server.N= in a configuration.
func (m *seat) spec(quorumPort int) string {
	role := "participant"
	if m.observer {
		role = "observer"
	}
	return fmt.Sprintf("%s:%d:%d:%s;127.0.0.1:%d", m.host, quorumPort, m.election, role, m.client)
}

// sinceStart is what the server has printed since its last start.
func (m *seat) sinceStart() string {
	if m.server == nil {
		return ""
	}
	return m.server.Log()[m.logged:]
}

// ensemble is a set of servers. Digests of all of them are compared from the first start to the end of the test.
type ensemble struct {
	t       *testing.T
	members []*seat  // by id, from 1
	lines   []string // for every zoo.cfg
	// properties are every server's.
	properties []string
	// detours are ports that the others are told instead of a member's quorum port.
	detours map[int]int
	// reconfig says that zoo.cfg is the server's own once it has started.
	reconfig bool

	watch digestWatch
}

// ensembleOf is an ensemble of members of the given kinds, with ids from 1: "zebu", "3.9" or "3.8", and "+o" behind it for an
// observer. Nothing runs yet.
func ensembleOf(t *testing.T, kinds ...string) *ensemble {
	t.Helper()
	ensembles <- struct{}{}
	t.Cleanup(func() { <-ensembles })
	e := &ensemble{
		t: t, detours: map[int]int{}, properties: slices.Clone(properties),
		lines: []string{"tickTime=200", "initLimit=50", "syncLimit=25", "minSessionTimeout=400", "maxSessionTimeout=60000"},
	}
	e.watch = digestWatch{
		seen: map[proto.Zxid]map[string]string{}, mismatch: map[string]string{}, asked: map[string]bool{}, restored: map[string]string{},
	}
	for _, kind := range kinds {
		e.add(kind)
	}
	stop := make(chan struct{})
	var watching sync.WaitGroup
	t.Cleanup(func() {
		close(stop)
		watching.Wait()
		e.watch.report(t)
		e.end()
	})
	watching.Go(func() { e.watch.run(stop) })
	return e
}

// add makes one more member. The configuration of those before does not know it.
func (e *ensemble) add(kind string) *seat {
	e.t.Helper()
	name, observer := strings.CutSuffix(kind, "+o")
	m := &seat{
		id: len(e.members) + 1, observer: observer, host: "127.0.0.1", dir: e.t.TempDir(), maker: makerOf(e.t, name),
		quorum: memberPort(e.t), election: memberPort(e.t), client: memberPort(e.t),
	}
	e.members = append(e.members, m)
	e.watch.target(strconv.Itoa(m.id), m.addr())
	if err := os.MkdirAll(filepath.Join(m.dir, "data"), 0o755); err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, "data", "myid"), []byte(strconv.Itoa(m.id)), 0o644); err != nil {
		e.t.Fatal(err)
	}
	return m
}

func makerOf(t *testing.T, name string) peers.Maker {
	t.Helper()
	switch name {
	case "zebu":
		return zebu(t)
	case "3.8":
		return apache38(t)
	case "3.9":
		return apache39(t)
	}
	t.Fatalf("no maker %q", name)
	return nil
}

func (e *ensemble) seat(id int) *seat { return e.members[id-1] }

// launch starts members and does not wait.
func (e *ensemble) launch(ids ...int) {
	e.t.Helper()
	for _, id := range ids {
		m := e.seat(id)
		c := peers.Config{Dir: m.dir, Properties: e.properties, Port: m.client, Extra: slices.Clone(e.lines)}
		for _, o := range e.members {
			port := o.quorum
			if d := e.detours[o.id]; d != 0 && o != m {
				port = d
			}
			c.Extra = append(c.Extra, fmt.Sprintf("server.%d=%s", o.id, o.spec(port)))
		}
		if m.etcd != 0 && m.maker.Name() == "zebu" {
			c.Extra = append(c.Extra, fmt.Sprintf("etcd.clientPort=%d", m.etcd))
		}
		if before, err := os.Stat(filepath.Join(m.dir, "server.log")); err == nil {
			m.logged, c.KeepFile = int(before.Size()), e.reconfig
		}
		e.note("start", m)
		e.watch.begins(strconv.Itoa(m.id), m.maker)
		s, err := peers.Launch(m.maker, c)
		if err != nil {
			e.t.Fatal(err)
		}
		m.server = s
	}
}

// start launches members and waits until they serve.
func (e *ensemble) start(ids ...int) {
	e.t.Helper()
	e.launch(ids...)
	e.serving(ids...)
}

// note puts into the test's log when something happens to a member, in the form of the servers' logs.
func (e *ensemble) note(what string, m *seat) {
	e.t.Helper()
	e.t.Logf("%s %s %v", time.Now().UTC().Format(logTime), what, m)
}

const logTime = "15:04:05.000"

// serving waits until members serve.
func (e *ensemble) serving(ids ...int) {
	e.t.Helper()
	for _, id := range ids {
		if err := e.seat(id).server.AwaitServing(e.t.Context()); err != nil {
			e.t.Fatalf("member %v: %v", e.seat(id), err)
		}
		e.note("serving:", e.seat(id))
	}
}

// lead starts all members such that a chosen one, which must have a greater id than one other voter, leads: those two elect, and the others
// find it leading.
func (e *ensemble) lead(leader int) {
	e.t.Helper()
	other := slices.IndexFunc(e.members, func(m *seat) bool { return !m.observer }) + 1
	e.launch(leader, other)
	e.serving(leader, other)
	var rest []int
	for _, m := range e.members {
		if m.id != leader && m.id != other {
			rest = append(rest, m.id)
		}
	}
	e.start(rest...)
	if got := e.leader(); got != leader {
		e.t.Fatalf("member %d leads, not %d", got, leader)
	}
}

// leader is the id of the member that leads, once there is one.
func (e *ensemble) leader() (id int) {
	e.t.Helper()
	poll(e.t, 30*time.Second, "leader", func() bool {
		for _, m := range e.members {
			if m.server != nil && m.mode() == "leader" {
				id = m.id
				return true
			}
		}
		return false
	})
	return id
}

// mode is what srvr says, "" if the server does not serve.
func (m *seat) mode() string { return wordField(m.addr(), "srvr", "Mode: ") }

// zxid is the last transaction of a member.
func (m *seat) zxid() string { return wordField(m.addr(), "srvr", "Zxid: ") }

// wordField is what stands behind a key in a line of the answer to a four-letter word, "" if nothing does.
func wordField(addr, word, key string) string {
	text, err := peers.FourLetterWord(addr, word)
	if err != nil {
		return ""
	}
	return field(text, key)
}

func field(text, key string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, key); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (e *ensemble) stop(id int) {
	e.t.Helper()
	m := e.seat(id)
	e.note("stop", m)
	if err := m.server.Stop(); err != nil {
		e.t.Fatal(err)
	}
	m.server = nil
}

func (e *ensemble) kill(id int) {
	m := e.seat(id)
	e.note("kill", m)
	m.server.Kill()
	m.server = nil
}

// end kills what still runs, and shows the logs of a test that failed.
func (e *ensemble) end() {
	for _, m := range e.members {
		if m.server == nil {
			continue
		}
		m.server.Kill()
		if e.t.Failed() {
			e.t.Logf("log of member %v ends:\n%s", m, tail(m.server.Log(), 60))
		}
		m.server = nil
	}
}

// tail is the last n lines of a log but for those about four-letter words.
func tail(log string, n int) string {
	lines := slices.DeleteFunc(strings.Split(log, "\n"), func(l string) bool { return strings.Contains(l, "Processing ") })
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// running are the ids of members whose process runs.
func (e *ensemble) running() (ids []int) {
	for _, m := range e.members {
		if m.server != nil {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// settle waits until all running members have applied the same last transaction.
func (e *ensemble) settle() {
	e.t.Helper()
	last := ""
	poll(e.t, 30*time.Second, "common zxid", func() bool {
		zxids := map[string]bool{}
		for _, id := range e.running() {
			zxids[e.seat(id).zxid()] = true
		}
		before := last
		last = strings.Join(slices.Sorted(maps.Keys(zxids)), " ")
		return len(zxids) == 1 && !zxids[""] && last == before // twice: nothing is under way
	})
}

// same waits until nothing is under way any more and compares all running members: every node with its data, its stat and its ACL.
func (e *ensemble) same() {
	e.t.Helper()
	e.settle()
	var want map[string]string
	var first *seat
	for _, id := range e.running() {
		m := e.seat(id)
		e.note("dump", m)
		got := e.dump(m)
		if first == nil {
			first, want = m, got
			continue
		}
		sameDump(e.t, fmt.Sprintf("member %v after member %v", m, first), want, got)
	}
	e.watch.look()
}

// dump reads a member's tree. The node with the configuration is left out: every server writes it when it starts, at its
// own time.
func (e *ensemble) dump(m *seat) (all map[string]string) {
	e.t.Helper()
	err := m.visit(func(w *wire) (err error) {
		if err = w.auth("digest", "super:test"); err == nil {
			all, err = dump(w)
		}
		return err
	})
	if err != nil {
		e.t.Fatalf("member %v: %v", m, err)
	}
	delete(all, "/zookeeper/config")
	return all
}

// visit opens a session at a member for a short time.
func (m *seat) visit(f func(*wire) error) error {
	stop := make(chan struct{})
	var company sync.WaitGroup
	defer company.Wait()
	defer close(stop)
	if m.maker.Name() == "apache-3.8.0" {
		company.Go(func() { m.keepAwake(stop) })
	}
	w, err := connectWire(m.addr(), 10*time.Second)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := f(w); err != nil {
		return err
	}
	_, err = w.call(proto.OpCloseSession, nil)
	return err
}

// keepAwake pings a member until stop is closed. Followers of release 3.8.0 overlook a request now and then, in ensembles of
// nothing else too, until another one comes from whatever client.
func (m *seat) keepAwake(stop <-chan struct{}) {
	w, err := connectWire(m.addr(), 10*time.Second)
	if err != nil {
		return // the visitor finds out as well
	}
	defer w.Close()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for err == nil {
		select {
		case <-tick.C:
			err = w.sendFrame(encodeRequest(proto.XidPing, proto.OpPing, nil))
		case <-stop:
			_, _ = w.send(proto.OpCloseSession, nil) // else it expires
			return
		}
	}
}

// target is what a [digestWatch] looks at.
type target struct{ name, addr string }

// digestWatch collects what members say about their trees: the digests that the word hash tells, of every 128th zxid, and
// the number of transactions whose digest, as the leader has computed it, was not theirs.
type digestWatch struct {
	mu       sync.Mutex
	targets  []target
	seen     map[proto.Zxid]map[string]string // digest by member
	mismatch map[string]string
	asked    map[string]bool   // who has told the number
	restored map[string]string // the number at the start of the process that runs, "" if not known yet
}

// begins says that a process starts at a target. What its counter has when it begins to serve is not held against an Apache server: it
// compares the digest in a snapshot of its own that was taken while transactions were applied, and may find the effect of
// one more in it.
func (d *digestWatch) begins(name string, m peers.Maker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.restored[name] = ""
	if m.Name() == "zebu" {
		d.restored[name] = "0"
	}
}

func (d *digestWatch) target(name, addr string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.targets = append(d.targets, target{name, addr})
}

// run looks at all targets again and again.
func (d *digestWatch) run(stop <-chan struct{}) {
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			d.look()
		}
	}
}

// look asks all targets; one that does not answer has nothing to say.
func (d *digestWatch) look() {
	d.mu.Lock()
	targets := d.targets
	d.mu.Unlock()
	for _, t := range targets {
		if text, err := peers.FourLetterWord(t.addr, "hash"); err == nil {
			d.add(t.name, text)
		}
		n := wordField(t.addr, "mntr", "zk_digest_mismatches_count")
		if n == "" {
			continue
		}
		d.mu.Lock()
		if d.restored[t.name] == "" {
			d.restored[t.name] = n
		}
		d.asked[t.name] = true
		if now, at := atoi(n), atoi(d.restored[t.name]); now > at {
			d.mismatch[t.name] = n
		}
		d.mu.Unlock()
	}
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

func (d *digestWatch) add(name, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		hex, digest, ok := strings.Cut(s.Text(), ": ")
		z, err := strconv.ParseUint(hex, 16, 64)
		if !ok || err != nil {
			continue
		}
		at := d.seen[proto.Zxid(z)]
		if at == nil {
			at = map[string]string{}
			d.seen[proto.Zxid(z)] = at
		}
		if old := at[name]; old != "" && old != digest {
			digest = old + " and then " + digest
		}
		at[name] = digest
	}
}

// compared is the number of zxids of which more than one member has told its digest.
func (d *digestWatch) compared() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, by := range d.seen {
		if len(by) > 1 {
			n++
		}
	}
	return n
}

// excuse says that a member never serves, and cannot be asked.
func (d *digestWatch) excuse(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[name] = true
}

func (d *digestWatch) report(t *testing.T) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, z := range slices.Sorted(maps.Keys(d.seen)) {
		digests := map[string]bool{}
		for _, v := range d.seen[z] {
			digests[v] = true
		}
		if len(digests) > 1 {
			t.Errorf("digests at %v differ: %v", z, d.seen[z])
		}
	}
	for _, target := range d.targets {
		if n := d.mismatch[target.name]; n != "" || !d.asked[target.name] {
			t.Errorf("member %s: %q transactions had another digest than the leader's", target.name, n)
		}
	}
}
