package server

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestServiceAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(false)
		waited := func(stopped <-chan struct{}) time.Duration {
			begin := time.Now()
			s.await(stopped)
			return time.Since(begin)
		}
		if d := waited(nil); d != serviceWait {
			t.Errorf("waited for %v in vain, expected %v", d, serviceWait)
		}
		time.AfterFunc(time.Millisecond, func() { s.set(true) })
		if d := waited(nil); d != time.Millisecond {
			t.Errorf("waited for %v, and service began after 1 ms", d)
		}
		s.set(true)
		if d := waited(nil); d != 0 {
			t.Errorf("waited for %v while clients are served", d)
		}
		s.set(false)
		stopped := make(chan struct{})
		close(stopped)
		if d := waited(stopped); d != 0 {
			t.Errorf("waited for %v in a server that has stopped", d)
		}
	})
}
