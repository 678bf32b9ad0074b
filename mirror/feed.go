package mirror

import (
	"sync"
	"time"
)

// feed collects what has changed at the source until it is copied. A path that changes often is there once.
type feed struct {
	wake chan struct{} // has room for one

	mu    sync.Mutex
	dirty map[string]time.Time // path -> when it was first heard of
	all   bool                 // changes may have been missed
	busy  time.Time            // the oldest change of those being copied; zero if none
	taken int
}

func newFeed() *feed {
	return &feed{wake: make(chan struct{}, 1), dirty: map[string]time.Time{}}
}

// changed notes that something has happened at a path.
func (f *feed) changed(path string) {
	f.mu.Lock()
	if _, known := f.dirty[path]; !known {
		f.dirty[path] = time.Now()
	}
	f.mu.Unlock()
	f.ring()
}

// resync notes that changes may have been missed, so that everything must be compared.
func (f *feed) resync() {
	f.mu.Lock()
	f.all = true
	f.mu.Unlock()
	f.ring()
}

func (f *feed) ring() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take empties the feed. What was taken counts as pending until the next take or idle.
func (f *feed) take() (paths []string, all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy, f.taken = time.Time{}, len(f.dirty)
	for p, t := range f.dirty {
		paths = append(paths, p)
		if f.busy.IsZero() || t.Before(f.busy) {
			f.busy = t
		}
	}
	f.dirty = map[string]time.Time{}
	all, f.all = f.all, false
	return paths, all
}

// idle notes that what was taken is copied.
func (f *feed) idle() {
	f.mu.Lock()
	f.busy, f.taken = time.Time{}, 0
	f.mu.Unlock()
}

// behind is how many changes wait, and the age of the oldest.
func (f *feed) behind() (pending int, lag time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest := f.busy
	for _, t := range f.dirty {
		if oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
	}
	if !oldest.IsZero() {
		lag = time.Since(oldest)
	}
	return f.taken + len(f.dirty), lag
}
