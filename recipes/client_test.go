package recipes

import (
	"context"
	"errors"
	"testing"

	"github.com/go-zookeeper/zk"
)

// TestCloseUnanswered closes a client with a request that never gets an answer.
func TestCloseUnanswered(t *testing.T) {
	t.Parallel()
	c := client(t)
	asked, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	result := make(chan error, 1)
	if !c.spawn(func() {
		_, err := call(context.Background(), c, func(*zk.Conn) (struct{}, error) {
			close(asked)
			<-never
			return struct{}{}, nil
		})
		result <- err
	}) {
		t.Fatal("closed already")
	}
	until(t, asked, "request")
	closed := make(chan struct{})
	go func() {
		c.Close()
		close(closed)
	}()
	until(t, closed, "close")
	if err := <-result; !errors.Is(err, ErrClosed) {
		t.Errorf("the request: %v", err)
	}
}
