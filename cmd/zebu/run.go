package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"zebu/admin"
	"zebu/internal/metrics"
	"zebu/server"
	"zebu/status"
)

// run starts the server with its HTTP ports and returns when ctx has ended and all have stopped.
func (l launch) run(ctx context.Context) error {
	roomToBlock()
	restored := restoring()
	if err := l.checkEtcd(); err != nil {
		return &exitError{exitInvalid, err}
	}
	keeper, err := l.etcdUsers()
	if err != nil {
		return &exitError{exitInvalid, err}
	}
	s, err := server.New(server.Options{
		Config: l.cfg, Log: l.log, Metrics: metrics.New(), Version: reportedVersion(), Authority: keeper.Authority,
	})
	restored()
	if err != nil {
		return &exitError{startCode(err), err}
	}
	ports, err := l.openPorts(s.Report())
	if err != nil {
		return &exitError{exitAdmin, errors.Join(err, s.Close())}
	}
	api, err := l.openEtcd(s, keeper)
	if err != nil {
		return &exitError{exitPort, errors.Join(err, s.Close())}
	}
	l.announce(s.Addr(), api.addr())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return api.run(ctx) })
	group.Go(func() error {
		select {
		case <-s.Stopped(): // of itself; it waits until nobody looks at its state any more
			api.stop()
		case <-ctx.Done():
		}
		return nil
	})
	group.Go(func() error { boundGarbage(ctx); return nil })
	for _, p := range ports {
		group.Go(func() error { return p.Run(ctx) })
	}
	group.Go(func() error {
		defer api.stop() // it must not look at a state that is closed
		if err := s.Run(ctx); err != nil {
			var port *server.PortError
			if errors.As(err, &port) {
				return &exitError{exitPort, err}
			}
			return &exitError{exitTxnLog, err}
		}
		return nil
	})
	return group.Wait()
}

// openPorts opens the AdminServer and the Prometheus endpoint, as far as they are configured. A port that is taken stops
// the start, as in ZooKeeper, unless nobody asked for it.
func (l launch) openPorts(report *status.Report) ([]*admin.Server, error) {
	var open []*admin.Server
	c := l.cfg
	add := func(s *admin.Server, err error) error {
		switch {
		case err == nil:
			open = append(open, s)
		case c.File == "":
			l.log.Warn("going on without an HTTP port", zap.Error(err))
		default:
			return err
		}
		return nil
	}
	if c.Admin.Enabled {
		s, err := admin.New(admin.Options{
			Report: report, Log: l.log, Level: &l.level, Addr: c.Admin.Addr.String(), CommandURL: c.Admin.CommandURL,
			IdleTimeout: c.Admin.IdleTimeout, Pprof: c.Admin.Profiling, NoSnapshot: !c.Admin.Snapshot,
			NoRestore: !c.Admin.Restore, RateInterval: rateInterval(c.Admin.RateInterval),
			TempDir: filepath.Join(c.DataDir, "version-2"),
		})
		if err := add(s, err); err != nil {
			return nil, fmt.Errorf("%w (admin.serverPort says where, admin.enableServer=false does without)", err)
		}
	}
	if c.Metrics.Prometheus {
		s, err := admin.NewMetrics(admin.MetricsOptions{
			Report: report, Log: l.log, Addr: c.Metrics.Addr.String(), ExportJVM: c.Metrics.ExportJVM,
		})
		if err := add(s, err); err != nil {
			return nil, fmt.Errorf("%w (metricsProvider.httpPort says where)", err)
		}
	}
	return open, nil
}

// rateInterval turns the configuration's 0, no limit, into what admin calls that.
func rateInterval(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// startCode is the exit code for a server that could not start.
func startCode(err error) int {
	var port *server.PortError
	if errors.As(err, &port) {
		return exitPort
	}
	return exitDataDir
}

// reportedVersion is what reports say of this program: built when its commit was made, if the build knew it.
func reportedVersion() status.Version {
	v := status.Version{ZooKeeper: zooKeeperVersion, Zebu: version, Built: programTime()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		if s.Key != "vcs.time" {
			continue
		}
		if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
			v.Built = t
		}
	}
	return v
}

// programTime is when the program's file was made.
func programTime() time.Time {
	name, err := os.Executable()
	if err != nil {
		return time.Now()
	}
	st, err := os.Stat(name)
	if err != nil {
		return time.Now()
	}
	return st.ModTime()
}
