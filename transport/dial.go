package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zebu/proto"
)

// dialTries is how often a learner tries to connect to its leader.
const dialTries = 5

// DialOptions describe how a learner connects to its leader's quorum port.
type DialOptions struct {
	Net
	Addrs []proto.HostPort // all of the leader's; the one that answers first is used
	// Timeout (tickTime*connectToLearnerMasterLimit, tickTime*initLimit if that is 0) bounds all tries to connect, and
	// then authentication.
	Timeout time.Duration
	// Delay (leaderConnectDelayDuringRetryMs) lies between two tries. A server that has just been elected may not listen
	// yet.
	Delay time.Duration
	Link  LinkOptions
}

// Dial connects to a leader. It tries up to 5 times, resolving names each time, and gives up when ctx ends. What it
// returns does not depend on ctx any more; the caller closes it.
func Dial(ctx context.Context, o DialOptions) (*Link, error) {
	c, err := o.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the leader: %w", err)
	}
	stop := guard(ctx, c)
	if err = c.SetDeadline(time.Now().Add(o.Timeout)); err == nil {
		err = o.Auth.dialed(c)
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("leader %v: %w", c.RemoteAddr(), err)
	}
	return newLink(c, true, o.Link, nil), nil
}

func (o *DialOptions) connect(ctx context.Context) (*conn, error) {
	deadline := time.Now().Add(o.Timeout)
	var errs []error
	for try := 1; ; try++ {
		c, err := o.dialAny(ctx, o.Addrs, time.Until(deadline))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
		if try == dialTries || time.Until(deadline) <= o.Delay || !pause(ctx, o.Delay) {
			return nil, fmt.Errorf("%d times: %w", try, errors.Join(errs...))
		}
	}
}
