package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"zebu/mirror"
)

// How often progress is shown: on a terminal in place, elsewhere as lines of a log.
const (
	onScreen = 500 * time.Millisecond
	inLog    = 10 * time.Second
)

// copyProgress writes to standard error: the progress, and lines above it.
type copyProgress struct {
	w               io.Writer
	terminal, quiet bool
	how             string
	began           time.Time

	mu    sync.Mutex
	shown bool // a line of progress stands on the terminal
}

// clear removes the line of progress.
func (p *copyProgress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
}

func (p *copyProgress) wipe() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// line prints something that stays.
func (p *copyProgress) line(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	fmt.Fprintln(p.w, s)
}

// show shows the progress until ctx ends.
func (p *copyProgress) show(ctx context.Context, now func() mirror.Progress) {
	if p.quiet {
		return
	}
	every := inLog
	if p.terminal {
		every = onScreen
	}
	t := time.NewTicker(every)
	defer t.Stop()
	var before mirror.Progress
	last := p.began
	for {
		select {
		case <-ctx.Done():
			p.clear()
			return
		case at := <-t.C:
			g := now()
			text := p.text(g, before, at.Sub(last))
			switch {
			case p.terminal:
				p.mu.Lock()
				fmt.Fprint(p.w, "\r\x1b[K"+text)
				p.shown = true
				p.mu.Unlock()
			case g != before || !g.Following:
				p.line(text)
			}
			before, last = g, at
		}
	}
}

// text is a line of progress: what was done, how fast since the line before, and how long it may take yet.
func (p *copyProgress) text(g, before mirror.Progress, d time.Duration) string {
	if g.Following {
		return fmt.Sprintf("following: %d changes, %d pending, lag %.1fs, %d created, %d updated, %d deleted, %d failed",
			g.Changes, g.Pending, float64(g.LagMillis)/1000, g.Created, g.Updated, g.Deleted, g.Failed)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d", p.how, g.Visited)
	if g.Total > 0 {
		fmt.Fprintf(&b, " of %d", max(g.Total, g.Visited))
	}
	rate := float64(g.Visited-before.Visited) / max(d.Seconds(), 0.001)
	fmt.Fprintf(&b, " nodes, %s, %.0f nodes/s", bytesText(g.Bytes), rate)
	if g.Total > g.Visited && rate >= 1 {
		fmt.Fprintf(&b, ", ETA %v", (time.Duration(float64(g.Total-g.Visited)/rate) * time.Second).Round(time.Second))
	}
	if g.Failed > 0 {
		fmt.Fprintf(&b, ", %d failed", g.Failed)
	}
	return b.String()
}

func bytesText(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}

// summaryText is the last line, and notes on what was left out.
func summaryText(s copySummary) string {
	var b strings.Builder
	if s.Mode == "verify" {
		fmt.Fprintf(&b, "%s: %d differences in %d nodes", s.Result, s.Differences, s.Visited)
	} else {
		fmt.Fprintf(&b, "%s: %d created, %d updated, %d ACLs changed, %d deleted; %d nodes looked at", s.Result, s.Created, s.Updated, s.ACLs, s.Deleted, s.Visited)
	}
	fmt.Fprintf(&b, ", %s, %.1fs", bytesText(s.Bytes), float64(s.ElapsedMS)/1000)
	if s.Mode == "dry-run" {
		b.WriteString("; nothing was changed")
	}
	for _, note := range []struct {
		n    int64
		text string
	}{
		{s.Failed, "could not be copied"},
		{s.Ephemerals, "ephemeral nodes (or keys with a lease) left out; --ephemerals copies them as persistent ones"},
		{s.Unmappable, "keys left out: they are no paths of nodes"},
		{s.Kept, "not deleted: they have children at the destination that the source does not have"},
		{s.Extra, "only at the destination, those below not counted"},
		{s.Sequential, "look like sequential nodes; their parents' counters start anew at the destination"},
	} {
		if note.n > 0 {
			fmt.Fprintf(&b, "\n  %d %s", note.n, note.text)
		}
	}
	if s.Pending > 0 {
		fmt.Fprintf(&b, "\n  %d changes were still to be copied", s.Pending)
	}
	if s.Result == "interrupted" {
		b.WriteString("\n  run it again to go on")
	}
	return b.String()
}
