package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"zebu/internal/freeport"
	"zebu/internal/peers"
)

// fillClients put what the servers are filled with.
const fillClients = 200

// measureMemory fills both systems, one after the other, and looks at what that takes. A single one is started again.
func (b *etcdBench) measureMemory(ctx context.Context, members int) error {
	if !b.wants(partMemory) {
		return nil
	}
	for _, system := range etcdSystems {
		if err := b.fillTeam(ctx, teamID{system, members}); err != nil {
			return fmt.Errorf("%s: %w", system, err)
		}
	}
	return nil
}

func (b *etcdBench) fillTeam(ctx context.Context, id teamID) error {
	t, err := b.startTeam(ctx, id, false)
	if err != nil {
		return err
	}
	defer func() {
		t.close()
		_ = os.RemoveAll(t.dir) // of what is a temporary directory
	}()
	if err := t.connect(ctx); err != nil {
		return err
	}
	res, err := measure(t.pids(), func() (*Result, error) { return t.fillKeys(ctx, int64(b.size.revisions), fillClients) })
	if err != nil {
		return err
	}
	b.set(id, "fill.rate", res.Rate())
	b.set(id, "fill.cpu", res.perOp(res.ServerCPU))
	t.disconnect()
	for _, s := range t.servers {
		m, err := settledMemory(s.PID())
		if err != nil {
			return err
		}
		b.set(id, "fill.memory", float64(m.rss)/1e6)
		b.set(id, "fill.peak", float64(m.peak)/1e6)
		size, err := diskUse(ctx, s.Config.Dir)
		if err != nil {
			return err
		}
		b.set(id, "fill.disk", float64(size)/1e6)
	}
	if id.members > 1 {
		return nil
	}
	s := t.servers[0]
	if err := s.Stop(); err != nil {
		return err
	}
	if err := b.restart(ctx, id, s, "restart"); err != nil {
		return err
	}
	s.Kill()
	return b.restart(ctx, id, s, "restart.killed")
}

// restart starts a server that has ended, with the data that it has.
func (b *etcdBench) restart(ctx context.Context, id teamID, s *keyServer, key string) error {
	begin := time.Now()
	var err error
	if s.Server, err = peers.Launch(s.Maker, s.Config); err != nil {
		return err
	}
	if err := s.await(ctx); err != nil {
		return fmt.Errorf("start again: %w; its log ends:\n%s", err, s.LogTail(20))
	}
	b.set(id, key+".time", time.Since(begin).Seconds())
	m, err := settledMemory(s.PID())
	if err == nil {
		b.set(id, key+".memory", float64(m.rss)/1e6)
	}
	return err
}

// diskUse returns the bytes that the files below dir occupy on the disk.
func diskUse(ctx context.Context, dir string) (int64, error) {
	text, err := exec.CommandContext(ctx, "du", "-sk", dir).Output()
	if err != nil {
		return 0, fmt.Errorf("du: %w", err)
	}
	kilobytes, _, _ := strings.Cut(string(text), "\t")
	n, err := strconv.ParseInt(kilobytes, 10, 64)
	return n << 10, err
}

// idleOn and idleOff are a zebu whose gateway is on, and not used, and one without.
var (
	idleOn  = teamID{"gateway idle", 1}
	idleOff = teamID{"gateway off", 1}
)

// measureIdle puts ZooKeeper's sets on both, in short turns: what is looked for is less than what the machine's speed changes by
// in a few seconds.
func (b *etcdBench) measureIdle(ctx context.Context) error {
	var trees []*tree
	var servers []*server
	ids := []teamID{idleOn, idleOff}
	for _, id := range ids {
		var opt options
		if id == idleOn {
			port, err := freeport.Next()
			if err != nil {
				return err
			}
			opt.lines = []string{fmt.Sprintf("etcd.clientPort=%d", port), "etcd.clientPortAddress=127.0.0.1"}
		}
		dir, err := os.MkdirTemp(b.dir, "idle-")
		if err != nil {
			return err
		}
		s, err := (&contestant{name: "zebu", Maker: b.zebu}).start(ctx, dir, opt)
		if err != nil {
			return err
		}
		defer s.Kill()
		m, err := settledMemory(s.PID())
		if err != nil {
			return err
		}
		b.set(id, "idle.memory", float64(m.rss)/1e6)
		t, err := openTree(ctx, []string{s.Addr}, connections, dataSize, 1)
		if err != nil {
			return err
		}
		defer t.close()
		if _, err := t.fill(ctx, 1000); err != nil {
			return err
		}
		if _, err := t.mixed(ctx, mustMix("set"), Run{Depth: depth, Duration: b.size.warmUp}); err != nil {
			return err
		}
		trees, servers = append(trees, t), append(servers, s)
	}
	for round := range b.size.idleRounds {
		for _, i := range turn([]int{0, 1}, round) {
			res, err := servers[i].measure(func() (*Result, error) {
				return trees[i].mixed(ctx, mustMix("set"), Run{Depth: depth, Duration: b.size.idlePhase})
			})
			if err == nil {
				err = complete(ctx, res)
			}
			if err != nil {
				return err
			}
			b.set(ids[i], "idle.rate", res.Rate())
			b.set(ids[i], "idle.cpu", res.perOp(res.ServerCPU))
		}
	}
	return nil
}
