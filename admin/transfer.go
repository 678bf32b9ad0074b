package admin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// limiter lets one call through in each interval.
type limiter struct {
	interval time.Duration

	mu   sync.Mutex
	last time.Time // guarded by mu
}

func (l *limiter) allow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.last.IsZero() && now.Sub(l.last) <= l.interval {
		return false
	}
	l.last = now
	return true
}

// snapshot takes a snapshot and sends it; with the parameter streaming=false it leaves it in the data directory instead.
// What is sent is written to a temporary file first, because its size and zxid go ahead of it, and so that a client that
// reads slowly holds up nobody.
func snapshot(c *commands, r *request) reply {
	if c.NoSnapshot {
		return reply{code: http.StatusServiceUnavailable}
	}
	if !c.snaps.allow() {
		c.Report.Metrics.SnapshotRateLimitedCount.Inc()
		return reply{code: http.StatusTooManyRequests}
	}
	take := c.streamSnapshot
	if q := r.URL.Query(); q.Has("streaming") && !strings.EqualFold(q.Get("streaming"), "true") {
		take = c.keepSnapshot
	}
	out, err := take()
	if err != nil {
		c.Report.Metrics.SnapshotErrorCount.Inc()
		c.Log.Warn("AdminServer: taking a snapshot", zap.Error(err))
		return reply{code: http.StatusInternalServerError}
	}
	return out
}

// keepSnapshot has a snapshot written into the data directory.
func (c *commands) keepSnapshot() (reply, error) {
	snap, err := c.Report.TakeSnapshot()
	if err != nil {
		return reply{}, err
	}
	return reply{header: snapshotHeader(int64(snap.Zxid), snap.Size)}, nil
}

// snapshotHeader tells of a snapshot: its zxid, and its size in bytes.
func snapshotHeader(zxid, size int64) map[string]string {
	return map[string]string{
		"last_zxid": "0x" + strconv.FormatUint(uint64(zxid), 16), "snapshot_size": strconv.FormatInt(size, 10),
	}
}

func (c *commands) streamSnapshot() (reply, error) {
	f, err := os.CreateTemp(c.TempDir, "tmp.snapshot.stream-*")
	if err != nil {
		return reply{}, err
	}
	body := &temporary{f}
	zxid, err := c.Report.WriteSnapshot(f)
	if err != nil {
		return reply{}, errors.Join(err, body.Close())
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return reply{}, errors.Join(err, body.Close())
	}
	header := snapshotHeader(int64(zxid), size)
	header["Content-Length"] = strconv.FormatInt(size, 10)
	return reply{body: body, header: header}, nil
}

// temporary is a file that is gone once it is closed.
type temporary struct{ *os.File }

// Close closes and removes the file.
func (t *temporary) Close() error { return errors.Join(t.File.Close(), os.Remove(t.Name())) }

// restore replaces the state with the snapshot in the request's body.
func restore(c *commands, r *request) reply {
	if c.NoRestore {
		return reply{code: http.StatusServiceUnavailable}
	}
	if !c.loads.allow() {
		c.Report.Metrics.RestoreRateLimitedCount.Inc()
		return reply{code: http.StatusTooManyRequests}
	}
	start := time.Now()
	zxid, err := c.Report.RestoreSnapshot(&patientReader{r: r.Body, rc: http.NewResponseController(r.w)})
	if err != nil {
		c.Report.Metrics.RestoreErrorCount.Inc()
		c.Log.Warn("AdminServer: restoring a snapshot", zap.Error(err))
		return reply{code: http.StatusInternalServerError}
	}
	c.Report.Metrics.RestoreTime.Observe(time.Since(start).Milliseconds())
	_ = http.NewResponseController(r.w).SetWriteDeadline(time.Now().Add(answerTimeout))
	return reply{data: object{{"last_zxid", int64(zxid)}}}
}

// patientWriter gives every piece written the whole of the time for an answer.
type patientWriter struct {
	w  io.Writer
	rc *http.ResponseController
}

// Write implements io.Writer.
func (p *patientWriter) Write(b []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(time.Now().Add(answerTimeout))
	return p.w.Write(b)
}

// patientReader gives every piece read the whole of the time for an answer.
type patientReader struct {
	r  io.Reader
	rc *http.ResponseController
}

// Read implements io.Reader.
func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.rc.SetReadDeadline(time.Now().Add(answerTimeout))
	return p.r.Read(b)
}

// logLevelCommands are zebu's own: GET tells the level of the server's log, POST and PUT with the parameter level change
// it, for which they need an identity as snapshot does.
var logLevelCommands = []*command{
	{names: []string{"log_level"}, idle: true, run: logLevel},
	{names: []string{"log_level"}, idle: true, auth: true, method: http.MethodPost, run: setLogLevel},
	{names: []string{"log_level"}, idle: true, auth: true, method: http.MethodPut, run: setLogLevel},
}

func logLevel(c *commands, _ *request) reply {
	return reply{data: object{{"level", c.Level.String()}}}
}

func setLogLevel(c *commands, r *request) reply {
	name := r.URL.Query().Get("level")
	level, err := zapcore.ParseLevel(name)
	if err != nil || name == "" || level > zapcore.ErrorLevel {
		return reply{code: http.StatusBadRequest, err: fmt.Sprintf("level %q: expected debug, info, warn or error", name)}
	}
	c.Level.SetLevel(level)
	c.Log.Info("log level changed", zap.Stringer("level", level), zap.String("by", r.RemoteAddr))
	return logLevel(c, r)
}
