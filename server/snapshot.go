package server

import (
	"fmt"
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

// writeSnapshot writes a snapshot. The etcd key space becomes durable before it, so that it has seen all that is in
// the snapshot and no older logs are needed for it.
func (s *Server) writeSnapshot(img *replica.Image) (storage.SnapshotInfo, error) {
	start := time.Now()
	if s.etcd != nil {
		if err := s.etcd.sync(); err != nil {
			s.met.SnapshotErrorCount.Inc()
			return storage.SnapshotInfo{}, fmt.Errorf("sync of the etcd key space: %w", err)
		}
	}
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

// purge removes old snapshots and logs at every interval (autopurge).
func (s *Server) purge() {
	interval, keep := s.cfg.Snapshot.PurgeInterval, s.cfg.Snapshot.Retain
	if interval <= 0 {
		return
	}
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		if err := s.store.Purge(keep); err != nil {
			s.log.Warn("purge of old snapshots and logs failed", zap.Error(err))
		}
		select {
		case <-t.C:
		case <-s.stopped:
			return
		}
	}
}
