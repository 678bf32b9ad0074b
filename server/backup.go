package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.uber.org/zap"

	"zebu/proto"
	"zebu/replica"
	"zebu/status"
	"zebu/storage"
)

var errStopping = errors.New("the server is stopping")

// WriteSnapshot implements [status.Source]: the stream is exact at the zxid returned, and stalls nobody.
func (s *Server) WriteSnapshot(w io.Writer) (proto.Zxid, error) {
	img, err := s.image()
	if err != nil {
		return 0, err
	}
	return img.Zxid(), storage.WriteSnapshotStream(w, img, storage.SnapshotTails{Digest: s.cfg.Tree.Digest, LastZxid: true})
}

// TakeSnapshot implements [status.Source].
func (s *Server) TakeSnapshot() (status.Snapshot, error) {
	s.snapshotting.Lock()
	defer s.snapshotting.Unlock()
	img, err := s.image()
	if err != nil {
		return status.Snapshot{}, err
	}
	info, err := s.writeSnapshot(img)
	return status.Snapshot{Zxid: info.Zxid, Size: info.Size, Time: info.ModTime}, err
}

// RestoreSnapshot implements [status.Source]. The snapshot is read whole and checked before anything changes. Then its
// content replaces the tree and the sessions, all connections are closed, and the new state is on disk before this returns.
//
// The history that led to the state before is set aside: see [storage.Store.SetAside].
//
// Zxids never go back: if the snapshot is older than the server, its content gets the server's last zxid; if it is newer,
// the server goes on in a new epoch beyond it.
func (s *Server) RestoreSnapshot(r io.Reader) (proto.Zxid, error) {
	if s.loop.e != nil {
		return 0, errors.New("restore: a server of an ensemble has its leader's state; stop all servers, put the snapshot into " +
			"each one's data directory in place of what is there, and start them")
	}
	loader := s.rep.Loader()
	loader.Whole = true
	tail, err := storage.ReadSnapshotStream(bufio.NewReaderSize(r, 1<<20), loader)
	if err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	z := tail.LastZxid
	if !tail.HasLastZxid {
		if z = tail.DigestZxid; !tail.HasDigest {
			return 0, errors.New("restore: the snapshot does not say its zxid; write it with digest.enabled or serializeLastProcessedZxid.enabled")
		}
	}
	s.snapshotting.Lock() // a snapshot of the state before must not be written after that of the new state
	defer s.snapshotting.Unlock()
	var at proto.Zxid
	if !s.loop.do(func() error { at, err = s.loop.restore(loader, z, tail); return s.loop.broken }) {
		return 0, errStopping
	}
	return at, err
}

// restore makes the loaded state the server's. After an error in broken the server must stop: its memory is not what its
// disk holds.
func (l *loop) restore(loader *replica.Loader, z proto.Zxid, tail storage.SnapshotTail) (proto.Zxid, error) {
	if l.broken = l.quiesce(); l.broken != nil {
		return 0, l.broken
	}
	rep := l.s.rep
	at := rep.Applied()
	if z > at {
		at = proto.MakeZxid(z.Epoch()+1, 0)
	}
	if tail.HasDigest && tail.DigestZxid == z {
		loader.SetDigest(at, tail.DigestVersion, tail.Digest)
	}
	l.s.state.Lock()
	err := loader.Finish(at)
	if err == nil {
		for _, rc := range slices.Collect(rep.Conns) {
			rc.Handle.(*conn).abort()
			rep.Disconnect(rc) // what it asked for before is not for the new state
		}
		l.broken = rep.Lead()
	}
	l.s.state.Unlock()
	if err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	if l.broken == nil {
		l.broken = l.s.store.Replacing(at)
	}
	if l.broken == nil {
		_, l.broken = l.s.writeSnapshot(rep.Image())
	}
	if l.broken == nil {
		l.broken = l.s.store.SetAside(at)
	}
	if l.broken != nil {
		l.broken = fmt.Errorf("restore: %w", l.broken)
		return 0, l.broken
	}
	l.s.log.Warn("state replaced by a snapshot", zap.Stringer("snapshot", z), zap.Stringer("zxid", at))
	return at, nil
}
