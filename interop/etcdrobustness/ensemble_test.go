package etcdrobustness

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zebu/internal/freeport"
	"zebu/internal/peers"
)

// build compiles zebu, with its own modules and not with ours.
func build(t *testing.T) *peers.Zebu {
	t.Helper()
	if binary := os.Getenv("ZEBU_BINARY"); binary != "" {
		return &peers.Zebu{Binary: binary}
	}
	binary := filepath.Join(t.TempDir(), "zebu")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", binary, "./cmd/zebu").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return &peers.Zebu{Binary: binary}
}

// member is one server of an ensemble.
type member struct {
	id               int
	quorum, election int // ports
	config           peers.Config
	etcd             string // endpoint
	process          *peers.Server
	losses           int // of files
}

func (m *member) addr() string { return fmt.Sprintf("127.0.0.1:%d", m.config.Port) }

func (m *member) data() string { return filepath.Join(m.config.Dir, "data") }

// voters is how many servers of an ensemble vote.
const voters = 3

// ensemble is three servers that vote, and perhaps an observer. They end with the test.
type ensemble struct {
	t       *testing.T
	zebu    *peers.Zebu
	members []*member
	net     network
}

func start(t *testing.T, z *peers.Zebu, observers int) *ensemble {
	t.Helper()
	e := &ensemble{t: t, zebu: z}
	patient := 1 + rand.IntN(voters) // when it is cut off it leads on in its own belief, while the others have elected
	for id := 1; id <= voters+observers; id++ {
		m := &member{id: id, quorum: port(t), election: port(t), config: peers.Config{Dir: t.TempDir(), Port: port(t)}}
		p := port(t)
		m.etcd = fmt.Sprintf("127.0.0.1:%d", p)
		m.config.Extra = []string{"tickTime=200", "initLimit=50", "syncLimit=10", "snapCount=1000", fmt.Sprintf("etcd.clientPort=%d", p)}
		if id == patient {
			m.config.Extra[2] = "syncLimit=30"
		}
		if id > voters {
			m.config.Extra = append(m.config.Extra, "peerType=observer")
		}
		if err := os.MkdirAll(m.data(), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.data(), "myid"), fmt.Append(nil, id), 0o644); err != nil {
			t.Fatal(err)
		}
		e.members = append(e.members, m)
	}
	for _, m := range e.members {
		for _, o := range e.members {
			quorum, election := o.quorum, o.election
			if o != m { // each goes to each other by a way of its own
				quorum, election = e.net.way(t, m.id, o.id, quorum), e.net.way(t, m.id, o.id, election)
			}
			role := "participant"
			if o.id > voters {
				role = "observer"
			}
			m.config.Extra = append(m.config.Extra, fmt.Sprintf("server.%d=127.0.0.1:%d:%d:%s;127.0.0.1:%d", o.id, quorum, election, role, o.config.Port))
		}
		e.launch(m)
	}
	t.Cleanup(func() {
		for i, m := range e.members {
			m.process.Kill()
			if t.Failed() {
				t.Logf("log of server %d ends:\n%s", i+1, m.process.LogTail(60))
			}
		}
	})
	for _, m := range e.members {
		e.serving(m)
	}
	return e
}

func port(t *testing.T) int {
	t.Helper()
	p, err := freeport.Next()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (e *ensemble) launch(m *member) {
	e.t.Helper()
	var err error
	if m.process, err = peers.Launch(e.zebu, m.config); err != nil {
		e.t.Fatal(err)
	}
}

func (e *ensemble) serving(m *member) {
	e.t.Helper()
	if err := m.process.AwaitServing(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
}

// leader waits for one.
func (e *ensemble) leader() *member {
	e.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); e.wait(20 * time.Millisecond) {
		for _, m := range e.members {
			if text, err := peers.FourLetterWord(m.addr(), "srvr"); err == nil && strings.Contains(text, "Mode: leader") {
				return m
			}
		}
	}
	e.t.Fatal("no leader")
	return nil
}

// follower is one of them, or the observer, when there is a leader.
func (e *ensemble) follower() *member {
	e.t.Helper()
	leader := e.leader()
	for {
		if m := e.members[rand.IntN(len(e.members))]; m != leader {
			e.serving(m)
			return m
		}
	}
}

func (e *ensemble) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-e.t.Context().Done():
	}
}

func (e *ensemble) endpoints() (list []string) {
	for _, m := range e.members {
		list = append(list, m.etcd)
	}
	return list
}
