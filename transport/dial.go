package transport

import (
	"context"
	"fmt"
	"time"

	"zebu/proto"
)

// dialTries is how often a learner tries to connect to its leader, besides the first tries, which follow each other faster:
// after dialDelay, after twice that, and so on.
const (
	dialTries = 5
	dialDelay = time.Millisecond
)

// DialOptions describe how a learner connects to its leader's quorum port.
type DialOptions struct {
	Net
	Addrs []proto.HostPort // all of the leader's; the one that answers first is used
	// Timeout (tickTime*connectToLearnerMasterLimit, tickTime*initLimit if that is 0) bounds all tries to connect, and
	// then authentication.
	Timeout time.Duration
	// Delay (leaderConnectDelayDuringRetryMs) lies between two tries, at most: a server that has just been elected does
	// not listen yet, and will within a few milliseconds, so that the first tries follow each other faster.
	Delay time.Duration
	Link  LinkOptions
}

// Dial connects to a leader. It tries some times, resolving names each time, and gives up when ctx ends. What it
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
	delay, slow := min(dialDelay, o.Delay), 1
	for try := 1; ; try++ {
		c, err := o.dialAny(ctx, o.Addrs, time.Until(deadline))
		if err == nil {
			return c, nil
		}
		if slow == dialTries || time.Until(deadline) <= delay || !pause(ctx, delay) {
			return nil, fmt.Errorf("%d times: %w", try, err)
		}
		if delay == o.Delay {
			slow++
		}
		delay = min(2*delay, o.Delay)
	}
}
