package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"zebu/conf"
	"zebu/internal/freeport"
	"zebu/internal/vfs"
	"zebu/proto"
)

// newLayout is a layout at free ports.
func newLayout(t *testing.T, voters, observers int) *layout {
	t.Helper()
	l := &layout{dir: t.TempDir(), voters: voters, observers: observers}
	base, err := freeport.Successive(l.ports())
	if err == nil {
		err = l.choosePorts(base, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLayout has the servers' own reader read what is written for them.
func TestLayout(t *testing.T) {
	for _, c := range []struct{ voters, observers int }{{1, 0}, {1, 1}, {2, 0}, {3, 0}, {3, 2}} {
		l := newLayout(t, c.voters, c.observers)
		l.dir = filepath.Join(l.dir, "odd \\ name: # ü=€ 🦓")
		if err := l.write(); err != nil {
			t.Fatal(err)
		}
		ports := map[int]bool{}
		for id := 1; id <= l.size(); id++ {
			got, err := conf.Load(conf.Options{File: l.config(id)})
			if err != nil {
				t.Fatal(err)
			}
			if warnings := got.Warnings(); len(warnings) > 0 && (l.alone() || c.voters > 2) { // fewer are warned of, rightly
				t.Errorf("%+v, server %d: %v", c, id, warnings)
			}
			if got.DataDir != l.data(id) || got.Quorum.ServerID != proto.ServerID(id) || got.Client.Addr.String() != l.address(id) {
				t.Errorf("%+v, server %d: dataDir %q, id %d, port %v", c, id, got.DataDir, got.Quorum.ServerID, got.Client.Addr)
			}
			if got.Distributed() == l.alone() || got.Quorum.Observer != (id > c.voters) {
				t.Errorf("%+v, server %d: distributed %v, observer %v", c, id, got.Distributed(), got.Quorum.Observer)
			}
			ports[got.Client.Addr.Port], ports[got.Etcd.Addr.Port] = true, true
			for _, m := range got.Quorum.Config.Members {
				for _, a := range m.Addrs {
					ports[a.Quorum], ports[a.Election] = true, true
				}
			}
		}
		if len(ports) != l.ports() || !ports[l.base] || !ports[l.base+l.ports()-1] {
			t.Errorf("%+v: ports %v, %d from %d on expected", c, ports, l.ports(), l.base)
		}
		before, err := earlier(l.dir)
		if err != nil || *before != *l {
			t.Errorf("%+v: found again as %+v, %v", *l, before, err)
		}
	}
}

func TestLayoutOfAnEarlierRun(t *testing.T) {
	l := newLayout(t, 3, 1)
	f := ensembleFlags{servers: 3, basePort: l.base}
	none := func(string) bool { return false }
	got, err := f.lay(l.dir, none)
	if err != nil || got.voters != 3 || got.observers != 0 || got.base != l.base {
		t.Errorf("the first: %+v, %v", got, err)
	}
	if err := l.write(); err != nil {
		t.Fatal(err)
	}
	f.basePort = 0
	if got, err = f.lay(l.dir, none); err != nil || *got != *l {
		t.Errorf("the next: %+v, %v", got, err)
	}
	if got, err = f.lay(l.dir, func(flag string) bool { return flag == "observers" }); err != nil || got.size() != 3 || got.base != l.base {
		t.Errorf("without observers: %+v, %v", got, err)
	}
	f.servers = 5
	if got, err = f.lay(l.dir, func(flag string) bool { return flag == "servers" }); err == nil || exitCode(err) != exitInvalid {
		t.Errorf("5 servers for 3: %+v, %v", got, err)
	}
	taken, err := net.Listen("tcp", l.address(2))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if got, err = f.lay(l.dir, none); err != nil || got.base == l.base || got.voters != 3 {
		t.Errorf("with a port taken: %+v, %v", got, err)
	}
	if err := os.WriteFile(l.config(1), []byte("tickTime=often\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err = f.lay(l.dir, none); err == nil || exitCode(err) != exitDataDir || !strings.Contains(err.Error(), "tickTime") {
		t.Errorf("unreadable: %+v, %v", got, err)
	}
}

func TestEnsembleUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--servers", "0"}, {"--servers", "-1"}, {"--servers", "34"}, {"--servers", "3", "--observers", "31"}, {"--observers", "-1"},
		{"--base-port", "-1"}, {"--base-port", "65528"}, {"--servers", "many"}, {"3"},
	} {
		args = append([]string{"ensemble", "--dir", filepath.Join(t.TempDir(), "d")}, args...)
		out, code := run(t, args...)
		if _, err := os.Stat(args[2]); code != exitInvalid || err == nil {
			t.Errorf("%q: exit code %d, directory made: %v\n%s", args, code, err == nil, out)
		}
	}
}

func TestEnsembleThatCannotStart(t *testing.T) {
	l := newLayout(t, 3, 0)
	base := strconv.Itoa(l.base)
	lock, err := vfs.OS.Lock(filepath.Join(l.dir, "ensemble.lock"))
	if err != nil {
		t.Fatal(err)
	}
	if out, code := run(t, "ensemble", "--dir", l.dir, "--base-port", base); code != exitDataDir || !strings.Contains(out, "another 'zebu ensemble'") {
		t.Errorf("the directory in use: exit code %d: %s", code, out)
	}
	lock.Close()
	file := filepath.Join(l.dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := run(t, "ensemble", "--dir", file, "--base-port", base); code != exitDataDir {
		t.Errorf("no directory: exit code %d: %s", code, out)
	}
	taken, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(l.base+8)))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if out, code := run(t, "ensemble", "--dir", l.dir, "--base-port", base); code != exitPort || !strings.Contains(out, "address already in use") {
		t.Errorf("port taken: exit code %d: %s", code, out)
	}
}

func TestDescribe(t *testing.T) {
	for want, l := range map[string]layout{
		"One server": {voters: 1},
		"An ensemble of 3 servers (of which 1 may be lost)":                                                        {voters: 3},
		"An ensemble of 4 servers and 2 observers (of which 1 may be lost, as of 3: an even number gains nothing)": {voters: 4, observers: 2},
	} {
		if got := l.describe(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
