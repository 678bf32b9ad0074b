package storage

import "zebu/proto"

// Span is what the logs on disk hold around a zxid. The zero value says that they do not reach back to it, or would take
// too long to read.
type Span struct {
	Prev    proto.Zxid // greatest zxid in the logs that is not greater
	Next    proto.Zxid // least one that is greater, 0 if there is none
	Through proto.Zxid // up to which the logs have no gap after Prev
}

// SpanAround looks up the transactions around z, as far as a limit that the log has reached for certain, in logs of no more than
// maxBytes together (spec 8.4). It may run while the log is appended to.
func (s *Store) SpanAround(z, limit proto.Zxid, maxBytes int64) (Span, error) {
	logs, err := s.logsAround(z, limit)
	if err != nil || len(logs) == 0 || logs[0].zxid > z {
		return Span{}, err
	}
	total := int64(0)
	for _, l := range logs {
		info, err := s.opt.FS.Stat(l.path)
		if err != nil {
			return Span{}, err
		}
		total += info.Size()
	}
	if total > maxBytes {
		return Span{}, nil
	}
	var span Span
	gap := false
	err = s.eachLogged(logs, limit, func(at proto.Zxid, _ []byte) error {
		switch {
		case gap:
		case at <= z:
			span.Prev, span.Through = at, at
		case !Follows(span.Through, at): // a snapshot may be ahead of the log, which goes on behind it after a crash
			gap = true
		default:
			if span.Next == 0 {
				span.Next = at
			}
			span.Through = at
		}
		return nil
	})
	return span, err
}

// Logged calls f for every transaction in the logs after one zxid, as far as another. The transaction is valid during the
// call only. It may run while the log is appended to.
func (s *Store) Logged(after, through proto.Zxid, f func(z proto.Zxid, txn []byte) error) error {
	logs, err := s.logsAround(after, through)
	if err != nil {
		return err
	}
	return s.eachLogged(logs, through, func(z proto.Zxid, txn []byte) error {
		if z <= after {
			return nil
		}
		return f(z, txn)
	})
}

// logsAround lists the logs that may hold transactions from z to limit.
func (s *Store) logsAround(z, limit proto.Zxid) ([]dataFile, error) {
	logs, err := list(s.opt.FS, s.logDir, logPrefix)
	if err != nil {
		return nil, err
	}
	logs = logsFrom(logs, z)
	for len(logs) > 0 && logs[len(logs)-1].zxid > limit {
		logs = logs[:len(logs)-1]
	}
	return logs, nil
}

// eachLogged calls f for the transactions in some logs, not beyond a limit.
func (s *Store) eachLogged(logs []dataFile, limit proto.Zxid, f func(z proto.Zxid, txn []byte) error) error {
	for _, l := range logs {
		err := eachRecord(s.opt.FS, l.path, s.opt.MaxRecord, func(rec *Record) error {
			if rec.Header.Zxid > limit {
				return errStop
			}
			return f(rec.Header.Zxid, rec.Txn)
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}
