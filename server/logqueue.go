package server

import (
	"slices"
	"sync"
	"time"

	"zebu/storage"
)

// batches is how many log batches there are: one being planned, one at the log, one durable and one being applied.
const batches = 4

// logJob is one append, or something else to be done between two of them. The log's goroutine returns it to the loop, with
// the error if it failed.
type logJob struct {
	batch *storage.Batch // nil for something else
	roll  bool           // start a new file first
	work  func() error   // done by the log's goroutine
	done  func() error   // by the loop afterwards
	took  time.Duration  // the append
	err   error

	skipped bool // the batch was not written, and nobody is to believe so
}

// logQueue is between the loop, which fills a batch, and the log's goroutine, which takes it as it is as soon as the batch
// before is durable: the disk never waits for the loop.
type logQueue struct {
	mu      sync.Mutex
	work    sync.Cond
	jobs    []logJob         // before planned
	planned *storage.Batch   // being filled by the loop, with mu held
	spare   []*storage.Batch // empty
	roll    bool
	skip    bool // batches are not written: the log's goroutine's, see ensemble.truncate
	away    int  // batches taken and not back at the loop yet
	closed  bool
}

func newLogQueue() *logQueue {
	q := &logQueue{planned: new(storage.Batch)}
	for range batches - 1 {
		q.spare = append(q.spare, new(storage.Batch))
	}
	q.work.L = &q.mu
	return q
}

// await returns what is planned, once there is anything, or false once the queue is closed. The log's goroutine calls it.
func (q *logQueue) await() (logJob, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && len(q.jobs) == 0 && (q.planned.Len() == 0 || len(q.spare) == 0) {
		q.work.Wait()
	}
	if q.closed {
		return logJob{}, false
	}
	if len(q.jobs) > 0 {
		job := q.jobs[0]
		q.jobs = slices.Delete(q.jobs, 0, 1)
		return job, true
	}
	return q.take(), true
}

// do has something done between what has been planned until now and what will be.
func (q *logQueue) do(work, done func() error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.planned.Len() > 0 {
		if len(q.spare) == 0 {
			q.spare = append(q.spare, new(storage.Batch))
		}
		q.jobs = append(q.jobs, q.take())
	}
	q.jobs = append(q.jobs, logJob{work: work, done: done})
	q.away++
	q.work.Signal()
}

// wake tells the log's goroutine that something may have been planned.
func (q *logQueue) wake() { q.work.Signal() }

// back says that a job that was no append has come back.
func (q *logQueue) back() {
	q.mu.Lock()
	q.away--
	q.mu.Unlock()
}

// few returns what is planned if it is no more than n transactions and nothing is on its way: then the loop writes it
// itself. Anything else that is planned is for the log's goroutine, which is woken.
func (q *logQueue) few(n int) (logJob, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.planned.Len() == 0 {
		return logJob{}, false
	}
	if q.away > 0 || q.planned.Len() > n {
		q.work.Signal()
		return logJob{}, false
	}
	return q.take(), true
}

// take takes the planned batch. The caller holds mu.
func (q *logQueue) take() logJob {
	job := logJob{batch: q.planned, roll: q.roll}
	q.roll = false
	q.away++
	last := len(q.spare) - 1
	q.planned, q.spare = q.spare[last], q.spare[:last]
	return job
}

// giveBack returns a batch that has been applied, or was not written, to be filled again.
func (q *logQueue) giveBack(b *storage.Batch) {
	if b.Bytes() > maxBatchBytes {
		b = new(storage.Batch) // its memory is not needed every time
	} else {
		b.Reset()
	}
	q.mu.Lock()
	q.away--
	if len(q.spare) < batches { // do may have made more
		q.spare = append(q.spare, b)
	}
	if q.planned.Len() > 0 {
		q.work.Signal()
	}
	q.mu.Unlock()
}

// full says that the loop must plan no more for now.
func (q *logQueue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.away > 0 && q.planned.Bytes() >= maxBatchBytes
}

// idle says that nothing is planned and everything taken has come back.
func (q *logQueue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.away == 0 && q.planned.Len() == 0
}

// rollNext makes the next batch start a new file.
func (q *logQueue) rollNext() {
	q.mu.Lock()
	q.roll = true
	q.mu.Unlock()
}

// close ends await. What is planned and not taken is dropped: nobody has been told of it.
func (q *logQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.work.Broadcast()
}
