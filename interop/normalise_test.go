package interop

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// normaliser makes result lines of two servers comparable: session ids become session names, times become what must
// hold of them. Zxids stay as they are: a fresh server gives the same ones to the same writes.
type normaliser struct {
	sessions map[string]sessionID // by name
	names    map[string]string    // id -> name
	began    time.Time
}

type sessionID struct{ id, passwd string }

func newNormaliser() *normaliser {
	return &normaliser{sessions: map[string]sessionID{}, names: map[string]string{"0": "0"}, began: time.Now()}
}

// line normalises a driver's result line, words of the form key=value: sid, passwd, stat (11 numbers in the order of
// the record, / between), children (a set), results (of multi, ; between). Everything else is compared as it is.
func (n *normaliser) line(step, out string) string {
	words := strings.Fields(out)
	for i, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "sid":
			n.session(strings.Fields(step), value, words)
			words[i] = "sid=" + n.names[value]
		case "passwd":
			words[i] = "passwd=" + strconv.Itoa(len(value)/2)
		case "stat":
			words[i] = "stat=" + n.stat(value)
		case "children":
			c := strings.Split(value, ",")
			sort.Strings(c)
			words[i] = "children=" + strings.Join(c, ",")
		case "results":
			words[i] = "results=" + n.results(value)
		}
	}
	return strings.Join(words, " ")
}

// session learns a session's name, id and password from the answer to connect or resume.
func (n *normaliser) session(step []string, id string, words []string) {
	if step[0] != "connect" {
		return
	}
	for _, w := range words {
		if p, ok := strings.CutPrefix(w, "passwd="); ok {
			n.sessions[step[1]] = sessionID{id: id, passwd: p}
		}
	}
	n.names[id] = step[1]
}

func (n *normaliser) results(value string) string {
	results := strings.Split(value, ";")
	for i, r := range results {
		fields := strings.Split(r, ":")
		for j, f := range fields {
			if strings.Count(f, "/") == 10 && !strings.HasPrefix(f, "/") {
				fields[j] = n.stat(f)
			}
			if fields[0] == "children" && j == 1 {
				c := strings.Split(f, ",")
				sort.Strings(c)
				fields[j] = strings.Join(c, ",")
			}
		}
		results[i] = strings.Join(fields, ":")
	}
	return strings.Join(results, ";")
}

// stat names the owner and replaces the two times by "ok" if they are plausible.
func (n *normaliser) stat(s string) string {
	f := strings.Split(s, "/")
	if len(f) != 11 {
		return s
	}
	ctime, _ := strconv.ParseInt(f[2], 10, 64)
	mtime, _ := strconv.ParseInt(f[3], 10, 64)
	f[2], f[3] = n.times(f[0] == f[1], ctime, mtime)
	if name, ok := n.names[f[7]]; ok {
		f[7] = name
	}
	return fmt.Sprintf("[cz=%s mz=%s ct=%s mt=%s v=%s cv=%s av=%s eo=%s dl=%s nc=%s pz=%s]",
		f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[10])
}

func (n *normaliser) times(unmodified bool, ctime, mtime int64) (string, string) {
	plausible := func(ms int64) string {
		at := time.UnixMilli(ms)
		switch {
		case ms == 0:
			return "0"
		case at.Before(n.began.Add(-time.Second)) || at.After(time.Now().Add(time.Second)):
			return fmt.Sprintf("implausible(%d)", ms)
		}
		return "ok"
	}
	c, m := plausible(ctime), plausible(mtime)
	if unmodified && ctime != mtime {
		m = "differs"
	}
	if mtime < ctime {
		m = "before-ctime"
	}
	return c, m
}
