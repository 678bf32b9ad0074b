package lab

import "fmt"

// Write is something to be made durable, in the order in which it is asked for.
type Write struct {
	Kind  string // "log", "epoch", "vote", "snapshot", "truncate"
	Index int64  // of the last entry, -1 if there is none
	Bytes int
	// Lazy writes need no sync of their own: they are made with the next one, or whenever.
	Lazy bool
	// Persist changes [Server].Stored.
	Persist func()
	// Done tells the process that it is durable, unless nil. More says that the next write's Done follows at once.
	Done func(more bool)
}

// disk makes writes durable. What is asked for while it is busy waits, and log writes that wait together share a sync.
type disk struct {
	waiting []Write
	batch   []Write // being written
	slow    float64 // times slower than usual, if more than 0
}

// Write asks for a write.
func (s *Server) Write(wr Write) {
	d := &s.disk
	if wr.Lazy && len(d.waiting) == 0 && len(d.batch) == 0 {
		wr.Persist()
		if wr.Done != nil {
			s.later(0, func() { wr.Done(false) })
		}
		return
	}
	d.waiting = append(d.waiting, wr)
	if len(d.batch) == 0 {
		d.begin(s)
	}
}

// shares says whether a write can share a sync with those before it.
func shares(w *Write) bool { return w.Kind == "log" || w.Kind == "vote" }

func (d *disk) begin(s *Server) {
	n, bytes, sync := 0, 0, false
	for n < len(d.waiting) && (n == 0 || shares(&d.waiting[n]) && shares(&d.waiting[0])) {
		bytes += d.waiting[n].Bytes
		sync = sync || !d.waiting[n].Lazy
		n++
	}
	d.batch = append(d.batch[:0], d.waiting[:n]...)
	rest := copy(d.waiting, d.waiting[n:])
	clear(d.waiting[rest:])
	d.waiting = d.waiting[:rest]
	took := Micros(0)
	if sync {
		took = s.fsyncTime(bytes)
		last := &d.batch[n-1]
		s.w.tally.fsync(s.w, took)
		s.w.record(Event{Kind: Fsync, Dur: took, Server: s.id, Epoch: s.epoch, Index: last.Index, Name: last.Kind, Bytes: bytes})
	}
	s.later(took, func() { d.end(s) })
}

func (d *disk) end(s *Server) {
	batch := d.batch
	d.batch = nil
	for i := range batch {
		batch[i].Persist()
	}
	life := s.life
	for i := range batch {
		if batch[i].Done != nil && s.life == life {
			batch[i].Done(i+1 < len(batch))
		}
	}
	if s.life == life && len(d.batch) == 0 && len(d.waiting) > 0 {
		d.begin(s)
	}
}

// crash forgets what is not on the disk, and says what that was. What a killed process was writing gets there, since the machine goes
// on; without power, a part of it may.
func (d *disk) crash(s *Server, power bool) string {
	kept := len(d.batch)
	if power && kept > 0 {
		kept = s.w.dice.disk.IntN(kept)
	}
	for i := range kept {
		d.batch[i].Persist()
	}
	lost := 0
	for _, wr := range append(d.batch[kept:], d.waiting...) {
		if wr.Kind == "log" {
			lost++
		}
	}
	d.batch, d.waiting = nil, nil
	if lost == 0 {
		return ""
	}
	return fmt.Sprintf("; %d writes to its log were not on the disk yet", lost)
}

// fsyncTime draws how long a write of so many bytes and a sync take.
func (s *Server) fsyncTime(bytes int) Micros {
	base := s.w.sc.Fsync
	t := base*4/5 + Micros(s.w.dice.disk.Int64N(int64(base*2/5)+1)) + Micros(bytes/diskBytesPerMicro)
	if s.disk.slow > 0 {
		t = Micros(float64(t) * s.disk.slow)
	}
	return t
}
