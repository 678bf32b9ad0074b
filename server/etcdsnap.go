package server

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"zebu/backend"
	"zebu/mvcc"
	"zebu/proto"
	"zebu/replica"
	"zebu/zab"
)

// A SNAP to a server that shares the etcd key space has, behind what ZooKeeper's has, an image of it (package mvcc), and
// the transactions that follow the image up to the snapshot's zxid: their number, and for each the zxid and the length of the record, in
// 8 bytes each, and the record.

// snapshotView is the state behind a SNAP.
type snapshotView struct {
	replica.View
	etcd *sharedSpace // nil if the learner does not take it
}

// sharedSpace is the key space as it goes to a learner. It holds a view, which must be closed even if it never goes.
type sharedSpace struct {
	e     *etcd
	ready chan mvcc.View // holds the view once it is there
	tail  []replica.EtcdTxn

	mu   sync.Mutex // held while it is written
	done bool
}

// takeViews takes the views of the last deliveries. The caller holds the state lock.
func (e *ensemble) takeViews() {
	for _, v := range e.m.TakeViews() {
		view := snapshotView{View: v}
		if v.Etcd {
			k := e.s.etcd
			sh := &sharedSpace{e: k, ready: make(chan mvcc.View, 1), tail: v.Tail}
			p := k.space
			k.mark(v.Marks, func() { sh.ready <- p.View() })
			view.etcd = sh
			e.shared = append(slices.DeleteFunc(e.shared, (*sharedSpace).isDone), sh)
		}
		e.views = append(e.views, view)
	}
}

// newestView is the view for a learner. There is one for each SNAP, and an older one if the link that it was for has gone.
func newestView(views []snapshotView, to proto.ServerID) snapshotView {
	for _, v := range slices.Backward(views) {
		if v.To == to {
			return v
		}
	}
	return snapshotView{}
}

// closeUnsent closes the views for which there is no message.
func (e *ensemble) closeUnsent(views []snapshotView, messages []zab.Message) {
	for _, v := range views {
		sent := slices.ContainsFunc(messages, func(m zab.Message) bool {
			return m.To == v.To && m.Packet.Type == proto.PacketSnap && e.links[m.To] != nil
		})
		if v.etcd != nil && !sent {
			e.closing.Go(v.etcd.close)
		}
	}
}

// closeShared closes all views of a role that is over.
func (e *ensemble) closeShared() {
	for _, sh := range e.shared {
		e.closing.Go(sh.close)
	}
	e.shared = nil
}

func (sh *sharedSpace) isDone() bool {
	if !sh.mu.TryLock() {
		return false
	}
	defer sh.mu.Unlock()
	return sh.done
}

// take returns the view, once; nil if there is none any more.
func (sh *sharedSpace) take() mvcc.View {
	if sh.done {
		return nil
	}
	sh.done = true
	select {
	case v := <-sh.ready:
		return v
	case <-sh.e.ended:
	}
	select {
	case v := <-sh.ready:
		return v
	default:
		return nil
	}
}

func (sh *sharedSpace) close() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if v := sh.take(); v != nil {
		v.Close()
	}
}

// write writes the key space behind a snapshot.
func (sh *sharedSpace) write(w io.Writer) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	v := sh.take()
	if v == nil {
		return errors.New("the etcd key space is closed")
	}
	defer v.Close()
	if err := mvcc.WriteImage(w, v); err != nil {
		return err
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(len(sh.tail)))
	for _, t := range sh.tail {
		b = binary.BigEndian.AppendUint64(b, uint64(t.Zxid))
		b = binary.BigEndian.AppendUint64(b, uint64(len(t.Record)))
		b = append(b, t.Record...)
	}
	_, err := w.Write(b)
	return err
}

// maxTailRecord bounds a record behind an image.
const maxTailRecord = 1 << 30

// receive reads a key space behind a snapshot at a zxid, into a directory of its own.
func (e *etcd) receive(r *bufio.Reader, z proto.Zxid) (*space, error) {
	dir, err := e.create(z)
	if err != nil {
		return nil, err
	}
	p, err := e.receiveInto(dir, r, z)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("etcd key space behind the snapshot: %w", err), backend.Remove(dir))
	}
	return p, nil
}

func (e *etcd) receiveInto(dir string, r *bufio.Reader, z proto.Zxid) (*space, error) {
	b, err := backend.Open(dir, e.s.log.Named("etcd"))
	if err != nil {
		return nil, err
	}
	p := &space{dir: dir, backend: b}
	if _, err = b.Import(r); err == nil {
		p.store, err = mvcc.Open(p, e.opt)
	}
	if err == nil {
		err = p.receiveTail(r, z)
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// receiveTail applies what follows the image. If the leader's history turns out not to be the one that the ensemble goes on with,
// nothing is lost: a server that has installed a snapshot cannot go back behind it, and gets another one.
//
// In the end the storage knows that it has seen all up to the snapshot: the logs before it will be gone.
func (p *space) receiveTail(r io.Reader, z proto.Zxid) error {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:8]); err != nil {
		return err
	}
	for n := binary.BigEndian.Uint64(head[:8]); n > 0; n-- {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		size := binary.BigEndian.Uint64(head[8:])
		if size > maxTailRecord {
			return fmt.Errorf("a record of %d bytes", size)
		}
		record, err := io.ReadAll(io.LimitReader(r, int64(size)))
		if err == nil && uint64(len(record)) < size {
			err = io.ErrUnexpectedEOF
		}
		if err == nil {
			err = p.apply(replica.EtcdTxn{Zxid: proto.Zxid(binary.BigEndian.Uint64(head[:8])), Record: record})
		}
		if err != nil {
			return err
		}
	}
	return p.advance(nil, z)
}

// apply applies one of the transactions behind an image.
func (p *space) apply(t replica.EtcdTxn) error {
	if _, err := p.store.Apply(t.Zxid, t.Record); err != nil {
		return err
	}
	return p.commit(p.store.Take)
}

// advance brings a key space that is not in use yet to a zxid, and makes it durable.
func (p *space) advance(tail []replica.EtcdTxn, z proto.Zxid) error {
	for _, t := range tail {
		if err := p.apply(t); err != nil {
			return err
		}
	}
	p.store.Advance(z)
	return p.sync()
}

// commit stores what there is: take is one of the Store's methods.
func (p *space) commit(take func() *mvcc.Batch) error {
	for _, b := range all(take) {
		if err := p.write(b); err != nil {
			return err
		}
		p.store.Stored(b)
	}
	return nil
}

// stage keeps the key space that is to be installed with a snapshot, and drops one that is not.
func (e *ensemble) stage(in, out *space) {
	if in != nil {
		e.staged, out = in, e.staged
	}
	if out != nil {
		e.s.etcd.discard(out)
	}
}
