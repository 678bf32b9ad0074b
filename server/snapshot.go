package server

import (
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"zebu/replica"
	"zebu/storage"
)

// snapTrigger says when the next snapshot is due: half the configured amount plus a random part of the other half, so that
// the servers of an ensemble do not all write theirs at once (spec 10.3).
type snapTrigger struct {
	txns  int
	bytes int64 // 0: no bound
}

func (t snapTrigger) due(txns int, bytes int64) bool {
	return txns > t.txns || t.bytes > 0 && bytes > t.bytes
}

func (s *Server) nextSnapTrigger() snapTrigger {
	half := s.cfg.Snapshot.Count / 2
	t := snapTrigger{txns: half + rand.IntN(half+1)} //nolint:gosec // spreads load
	if limit := s.cfg.Snapshot.LogLimit; limit > 0 {
		t.bytes = limit/2 + rand.Int64N(limit/2+1) //nolint:gosec // spreads load
	}
	return t
}

func (s *Server) writeSnapshot(img *replica.Image) (storage.SnapshotInfo, error) {
	start := time.Now()
	info, err := s.store.WriteSnapshot(img)
	if err != nil {
		s.met.SnapshotErrorCount.Inc()
		return info, err
	}
	s.met.SnapshotTime.Observe(time.Since(start).Milliseconds())
	s.log.Info("snapshot written", zap.Stringer("zxid", info.Zxid), zap.String("file", info.Name),
		zap.Int64("bytes", info.Size), zap.Duration("took", time.Since(start)))
	return info, nil
}

// syncEtcd makes the key space of the etcd API durable, if there is one, and says whether it is.
func (s *Server) syncEtcd() bool {
	if s.etcd == nil {
		return true
	}
	if err := s.etcd.sync(); err != nil {
		if !s.ending.Load() {
			s.log.Error("the etcd key space was not synced", zap.Error(err))
		}
		return false
	}
	return true
}

// purge removes old snapshots and logs at every interval (autopurge).
func (s *Server) purge() {
	interval, keep := s.cfg.Snapshot.PurgeInterval, s.cfg.Snapshot.Retain
	if interval <= 0 {
		return
	}
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		if !s.syncEtcd() {
			s.log.Warn("old logs are kept, for the etcd key space may need them")
		} else if err := s.store.Purge(keep); err != nil {
			s.log.Warn("purge of old snapshots and logs failed", zap.Error(err))
		}
		select {
		case <-t.C:
		case <-s.stopped:
			return
		}
	}
}
