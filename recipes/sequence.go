package recipes

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/go-zookeeper/zk"
)

// Sequence hands out numbers by the creation of sequential nodes: one round trip for each, 2^31 in all.
//
// Guaranteed: no number is handed out twice, and one that is asked for after another was received is greater, as long as nobody
// deletes the directory. Numbers are left out when connections are lost. The nodes are deleted at once; what a lost connection leaves goes with
// the session.
type Sequence struct {
	c   *Client
	dir string
}

// NewSequence is the sequence whose nodes are in a directory of its own.
func NewSequence(c *Client, dir string) *Sequence { return &Sequence{c, path.Clean(dir)} }

// Next returns the next number; the first is 0.
func (s *Sequence) Next(ctx context.Context) (int64, error) {
	for {
		made, err := callOr(ctx, s.c, func(conn *zk.Conn) (string, error) {
			return conn.Create(path.Join(s.dir, "id-"), nil, zk.FlagEphemeralSequential, s.c.acl)
		}, func(made string, err error) {
			if err == nil {
				s.c.discard(made)
			}
		})
		switch {
		case err == nil:
			s.c.discard(made)
			n, err := strconv.ParseInt(path.Base(made)[len("id-"):], 10, 32)
			if err == nil && n < 0 {
				err = strconv.ErrRange
			}
			if err != nil {
				return 0, fmt.Errorf("sequence %s: %w", s.dir, err)
			}
			return n, nil
		case errors.Is(err, zk.ErrNoNode):
			err = s.c.ensure(ctx, s.dir)
		case transient(err):
			err = nil
		}
		if err != nil {
			return 0, fmt.Errorf("sequence %s: %w", s.dir, err)
		}
	}
}
