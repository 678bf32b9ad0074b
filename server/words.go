package server

import (
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"zebu/conf"
	"zebu/internal/metrics"
	"zebu/status"
)

// Report is the server's report: four-letter words, and the facts behind AdminServer commands.
func (s *Server) Report() *status.Report { return s.report }

// serveWord answers the four-letter word at the start of the input; the connection ends with the answer.
func (s *Server) serveWord(c *conn) {
	c.mu.Lock()
	c.word = true
	c.received(1)
	c.mu.Unlock()
	size := 4
	if string(c.in[:4]) == "stmk" {
		size = 12 // the trace mask follows
	}
	for len(c.in) < size {
		if c.fill() != nil {
			return
		}
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(s.cfg.Client.HandshakeTimeout)); err != nil {
		return
	}
	if err := s.report.Run(c.nc, string(c.in[:size])); err != nil {
		s.log.Debug("four-letter word not answered", zap.Stringer("client", c.remote), zap.Error(err))
	}
}

// reportOptions translates the configuration for reports.
func reportOptions(opt Options, met *metrics.Server) status.Options {
	c := opt.Config
	return status.Options{
		Config: status.Config{
			ClientPort: portOf(c.Client.Addr), SecureClientPort: portOf(c.Client.SecureAddr),
			DataDir: versionDir(c.DataDir), DataLogDir: versionDir(c.DataLogDir), TickTime: int(c.TickTime),
			MaxClientCnxns: c.Limits.MaxClientCnxns, MinSessionTimeout: int(c.Session.MinTimeout),
			MaxSessionTimeout: int(c.Session.MaxTimeout), Backlog: c.Client.Backlog, Initial: c.Text, ServerID: int64(c.Quorum.ServerID),
			Properties: c.Properties(),
		},
		Version: opt.Version, Metrics: met, Whitelist: c.FourLetterWords, ReadOnlyMode: c.ReadOnlyMode,
	}
}

func portOf(a conf.HostPort) int {
	if !a.IsSet() {
		return -1
	}
	return a.Port
}

// versionDir is where in a data directory the files lie (spec 10).
func versionDir(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return filepath.Join(dir, "version-2")
}
