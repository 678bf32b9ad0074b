package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"zebu/proto"
	"zebu/quorum"
)

// isMember says whether a key describes the ensemble: server.N, group.N or weight.N. Like ZooKeeper it asks no more
// than the first letters, so that a slip is reported and not taken for a property.
func isMember(key string) bool {
	return strings.HasPrefix(key, "server.") || strings.HasPrefix(key, "group") || strings.HasPrefix(key, "weight")
}

// readEnsemble reads the members, from zoo.cfg or from the dynamic file, and this server's place among them.
func (l *loader) readEnsemble() {
	q := &l.c.Quorum
	entries := l.file
	if q.DynamicFile != "" && !l.bad["dynamicConfigFile"] {
		for _, e := range l.file {
			if isMember(e.key) {
				l.fail(e.set.Source, e.key, e.set.Value, "must stand in the dynamic file "+q.DynamicFile+", since dynamicConfigFile is set")
			}
		}
		entries = l.readDynamic(q.DynamicFile)
	}
	for _, e := range entries {
		if isMember(e.key) {
			l.c.settings[e.key] = e.set
			l.member(&q.Config, e)
		}
	}
	if q.DynamicFile != "" {
		l.readNext(l.c.File + nextSuffix)
	}
	l.readMyID()
	l.takeMyLine()
	l.checkEnsemble()
}

// readDynamic reads a dynamic configuration file (spec 11.2); its version is the hexadecimal suffix of its name.
func (l *loader) readDynamic(path string) []fileEntry {
	text, err := os.ReadFile(path)
	if err != nil {
		l.refuse("dynamicConfigFile", "read: "+err.Error())
		return nil
	}
	if dot := strings.LastIndexByte(path, '.'); dot >= 0 {
		if v, err := strconv.ParseInt(path[dot+1:], 16, 64); err == nil {
			l.c.Quorum.Config.Version = proto.Zxid(v)
		}
	}
	var entries []fileEntry
	for _, e := range l.entries(path, text) {
		switch {
		case e.key == "version":
			l.fail(e.set.Source, e.key, e.set.Value, "must not stand in a dynamic file: the end of the file's name is the version")
		case !isMember(e.key):
			l.fail(e.set.Source, e.key, e.set.Value, "expected only server.N, group.N and weight.N in a dynamic file")
		default:
			entries = slices.DeleteFunc(entries, func(old fileEntry) bool { return old.key == e.key })
			entries = append(entries, e)
		}
	}
	return entries
}

// entries returns the lines of another file than zoo.cfg.
func (l *loader) entries(path string, text []byte) []fileEntry {
	props, faults := parseProperties(text)
	for _, f := range faults {
		l.fail(Source{Kind: FromFile, File: path, Line: f.line}, "", "", f.err.Error())
	}
	entries := make([]fileEntry, len(props))
	for i, p := range props {
		entries[i] = fileEntry{strings.TrimSpace(p.key), Setting{strings.TrimSpace(p.value), Source{FromFile, path, p.line, ""}}}
	}
	return entries
}

// readNext reads the newest configuration proposed, if there is such a file. One that is not newer than the configuration
// in force was left by a crash.
func (l *loader) readNext(path string) {
	text, err := os.ReadFile(path)
	src := Source{Kind: FromFile, File: path, Line: 1}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case !l.c.Quorum.Reconfig:
		l.warn(src, "reconfigEnabled", "is false, so this file has no effect")
		return
	case err != nil:
		l.fail(Source{}, "", "", "read the configuration seen last: "+err.Error())
		return
	}
	errs := len(l.errs)
	next := &quorum.Config{}
	for _, e := range l.entries(path, text) {
		if e.key != "version" {
			l.member(next, e)
			continue
		}
		v, err := strconv.ParseInt(e.set.Value, 16, 64)
		if err != nil {
			l.fail(e.set.Source, e.key, e.set.Value, "expected a hexadecimal number")
		}
		next.Version = proto.Zxid(v)
	}
	if len(l.errs) > errs {
		return
	}
	if err := next.Check(); err != nil {
		l.fail(src, "", "", err.Error())
		return
	}
	if next.Version > l.c.Quorum.Config.Version {
		l.c.Quorum.LastSeen = next
	}
}

// member adds one server.N, group.N or weight.N line to c.
func (l *loader) member(c *quorum.Config, e fileEntry) {
	if err := c.Set(e.key, e.set.Value); err != nil {
		l.fail(e.set.Source, e.key, e.set.Value, err.Error())
		return
	}
	if l.c.Quorum.MultiAddress || !strings.HasPrefix(e.key, "server.") {
		return
	}
	if m, err := quorum.ParseMember(0, e.set.Value); err == nil && len(m.Addrs) > 1 {
		l.fail(e.set.Source, e.key, e.set.Value, "several addresses need multiAddress.enabled=true")
	}
}

// readMyID reads dataDir/myid, if there is such a file.
func (l *loader) readMyID() {
	path := filepath.Join(l.c.DataDir, "myid")
	if info, err := os.Stat(path); l.c.DataDir == "" || err != nil || !info.Mode().IsRegular() {
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		l.fail(Source{}, "myid", "", "read: "+err.Error())
		return
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSpace(line)
	src := Source{Kind: FromFile, File: path, Line: 1}
	id, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		l.fail(src, "myid", line, "expected this server's number, alone on the first line")
		return
	}
	if l.c.Tree.ExtendedTypes && (id < 0 || id > 254) {
		l.fail(src, "myid", line, "expected a number from 0 to 254, since extendedTypesEnabled is true")
	}
	l.c.Quorum.ServerID = proto.ServerID(id)
	l.c.settings["myid"] = Setting{line, src}
}

// takeMyLine takes this server's client address and role from its server line.
func (l *loader) takeMyLine() {
	q := &l.c.Quorum
	me := q.Config.Member(q.ServerID)
	if me == nil {
		return
	}
	if _, given := l.c.settings["peerType"]; given && q.Observer != me.Observer {
		l.warn(l.c.settings["peerType"].Source, "peerType", "differs from this server's line, which counts")
	}
	q.Observer = me.Observer
	if me.Client == (proto.HostPort{}) {
		return
	}
	static := l.c.Client.Addr
	if static.IsSet() && (static.Port != me.Client.Port || !static.all() && !maybeSameHost(static.Host, me.Client.Host)) {
		l.refuse("clientPort", fmt.Sprintf("the client address %v differs from %v in the line of server %d", static, me.Client, me.ID))
		return
	}
	l.c.Client.Addr = Address(me.Client.Host, me.Client.Port)
	l.c.settings["clientPort"] = Setting{strconv.Itoa(me.Client.Port), l.c.settings[fmt.Sprintf("server.%d", me.ID)].Source}
}

// maybeSameHost says whether two hosts may be the same. ZooKeeper looks names up to tell; of a name and an address nothing
// is known here.
func maybeSameHost(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if errX != nil && errY != nil {
		return strings.EqualFold(a, b)
	}
	return errX != nil || errY != nil || x.Unmap() == y.Unmap()
}

// checkEnsemble checks what only the whole ensemble shows.
func (l *loader) checkEnsemble() {
	q := &l.c.Quorum
	voters := q.Voters()
	for key := range l.bad {
		if isMember(key) {
			return
		}
	}
	switch err := q.Config.Check(); {
	case voters == 0 && !q.Standalone:
		l.refuse("standaloneEnabled", "is false, so at least one participant must be named in a server line")
		return
	case len(q.Config.Members) == 0:
	case err != nil:
		l.fail(Source{}, "server", "", err.Error())
	case voters == 1 && q.Standalone && len(q.Config.Members) > 1:
		l.fail(Source{}, "server", "", "observers with one participant make no quorum: expected more participants, or standaloneEnabled=false")
	}
	if !l.c.Distributed() {
		return
	}
	for _, key := range []string{"initLimit", "syncLimit"} {
		if limit := map[string]int{"initLimit": q.InitLimit, "syncLimit": q.SyncLimit}[key]; limit == 0 && !l.bad[key] {
			l.refuse(key, "expected a number of ticks, 1 or more: an ensemble needs it")
		}
	}
	switch {
	case l.bad["myid"]:
	case q.ServerID == -1:
		l.fail(Source{}, "myid", "", "missing: expected this server's number in "+filepath.Join(l.c.DataDir, "myid"))
	case q.Config.Member(q.ServerID) == nil:
		l.refuse("myid", fmt.Sprintf("no server line has the number %d", q.ServerID))
	}
	if voters <= 2 {
		l.warn(Source{}, "server", "no failure will be survived: expected at least 3 participants")
	} else if voters%2 == 0 {
		l.warn(Source{}, "server", "an even number of participants survives no more failures than one less")
	}
}
