package interop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"zebu/recipes"
)

// The environment of a worker: what it does, at which servers, and where the referee is.
const (
	workerTask    = "RECIPES_WORKER"
	workerServers = "RECIPES_SERVERS"
	workerReferee = "RECIPES_REFEREE"
)

// workerTimeout is the session timeout of workers. A sixth of it is what a loaded machine may take for a round trip.
const workerTimeout = 6 * time.Second

// TestRecipesWorker is no test: it is a process that uses recipes, for tests that kill and suspend it. It tells the referee what it
// does, a line at a time, and obeys the answers.
func TestRecipesWorker(t *testing.T) {
	task := os.Getenv(workerTask)
	if task == "" {
		return // only for those who start it
	}
	conn, err := net.Dial("tcp", os.Getenv(workerReferee))
	if err != nil {
		t.Fatal(err)
	}
	c, err := recipes.Connect(strings.Split(os.Getenv(workerServers), ","), recipes.Options{SessionTimeout: workerTimeout})
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{conn: conn, in: bufio.NewScanner(conn), c: c}
	if _, err := w.say("pid %d", os.Getpid()); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	switch task {
	case "mutex", "careless":
		m := recipes.NewMutex(c, "/safety/mutex", recipes.LockOptions{})
		for err == nil {
			var l *recipes.Lease
			if l, err = m.Lock(ctx); err == nil {
				err = w.section(l.Context(), l.Token(), task == "careless")
				if released := l.Release(ctx); released != nil && !errors.Is(released, recipes.ErrLost) {
					err = released
				}
			}
		}
	case "election":
		e := recipes.NewElection(c, "/safety/election", recipes.ElectionOptions{})
		for err == nil {
			err = e.Run(ctx, func(ctx context.Context, token int64) error { return w.section(ctx, token, false) })
		}
	case "queue":
		err = w.consume(ctx)
	}
	t.Log(err) // the referee has gone, most likely
}

type worker struct {
	conn net.Conn
	in   *bufio.Scanner
	c    *recipes.Client
}

// say tells the referee and returns its answer.
func (w *worker) say(format string, args ...any) (string, error) {
	if _, err := fmt.Fprintf(w.conn, format+"\n", args...); err != nil {
		return "", err
	}
	if !w.in.Scan() {
		return "", net.ErrClosed
	}
	return w.in.Text(), nil
}

// section works under a lease for a while, or as long as it is told to stay. A careless worker does not look whether it still has the lease.
func (w *worker) section(ctx context.Context, token int64, careless bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	answer, err := w.say("enter %d", token)
	for n := 0; n < 10 && err == nil && answer != "fenced"; n++ {
		if answer == "stay" {
			n = 0
		}
		if careless {
			<-tick.C
		} else {
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
		}
		answer, err = w.say("work %d", token)
	}
	if err == nil {
		_, err = w.say("leave %d", token)
	}
	return err
}

// consume takes items for ever. It works on each for a moment.
func (w *worker) consume(ctx context.Context) error {
	q := recipes.NewQueue(w.c, "/safety/queue", recipes.QueueOptions{})
	for {
		item, err := q.Take(ctx)
		if err != nil {
			return err
		}
		if _, err := w.say("took %s %s", item.Data, item.Name()); err != nil {
			return err
		}
		switch err := item.Ack(ctx); {
		case err == nil:
			if _, err := w.say("acked %s %s", item.Data, item.Name()); err != nil {
				return err
			}
		case !errors.Is(err, recipes.ErrLost):
			return err
		}
	}
}

// startWorker starts a worker process until the end of the test.
func startWorker(t *testing.T, task, referee string, servers []string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestRecipesWorker$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), workerTask+"="+task, workerServers+"="+strings.Join(servers, ","), workerReferee+"="+referee)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Kill() // gone is what is wanted
		_ = cmd.Wait()
	})
	return cmd
}
