package conf

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"zebu/proto"
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
			l.member(e)
		}
	}
	slices.SortFunc(q.Servers, func(a, b Member) int { return int(a.ID - b.ID) })
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
	if v, err := strconv.ParseInt(path[strings.LastIndexByte(path, '.')+1:], 16, 64); err == nil {
		l.c.Quorum.Version = proto.Zxid(v)
	}
	props, faults := parseProperties(text)
	for _, f := range faults {
		l.fail(Source{Kind: FromFile, File: path, Line: f.line}, "", "", f.err.Error())
	}
	var entries []fileEntry
	for _, p := range props {
		e := fileEntry{strings.TrimSpace(p.key), Setting{strings.TrimSpace(p.value), Source{FromFile, path, p.line, ""}}}
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

// member takes one server.N, group.N or weight.N line.
func (l *loader) member(e fileEntry) {
	kind, number, _ := strings.Cut(e.key, ".")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		l.fail(e.set.Source, e.key, e.set.Value, "expected a number after "+kind+".")
		return
	}
	q := &l.c.Quorum
	switch kind {
	case "server":
		m, err := ParseMember(proto.ServerID(id), e.set.Value)
		if err == nil && len(m.Addrs) > 1 && !q.MultiAddress {
			err = errors.New("several addresses need multiAddress.enabled=true")
		}
		if err != nil {
			l.fail(e.set.Source, e.key, e.set.Value, err.Error())
			return
		}
		q.Servers = append(q.Servers, m)
	case "group":
		l.group(id, e)
	case "weight":
		w, err := strconv.ParseInt(e.set.Value, 10, 64)
		if err != nil || w < 0 {
			l.fail(e.set.Source, e.key, e.set.Value, "expected a whole number, 0 or more")
			return
		}
		if q.Weights == nil {
			q.Weights = map[proto.ServerID]int64{}
		}
		q.Weights[proto.ServerID(id)] = w
	default:
		l.fail(e.set.Source, e.key, e.set.Value, "expected group.N or weight.N")
	}
}

// group takes a group.G line: server ids between colons.
func (l *loader) group(id int64, e fileEntry) {
	q := &l.c.Quorum
	if q.Groups == nil {
		q.Groups = map[int64][]proto.ServerID{}
	}
	for s := range strings.SplitSeq(e.set.Value, ":") {
		sid, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			l.fail(e.set.Source, e.key, e.set.Value, "expected server ids between colons")
			return
		}
		for other, members := range q.Groups {
			if slices.Contains(members, proto.ServerID(sid)) {
				l.fail(e.set.Source, e.key, e.set.Value, fmt.Sprintf("server %d is in group %d already", sid, other))
				return
			}
		}
		q.Groups[id] = append(q.Groups[id], proto.ServerID(sid))
	}
}

// errMember tells the shape of a server line.
var errMember = errors.New("expected host:quorumPort:electionPort[:participant|observer][;[clientHost:]clientPort], " +
	"an IPv6 address in brackets, several addresses separated by |")

// ParseMember reads what stands behind "server.N=" (spec 11.1).
func ParseMember(id proto.ServerID, text string) (Member, error) {
	m := Member{ID: id}
	server, client, hasClient := strings.Cut(text, ";")
	if hasClient && client != "" {
		parts, err := hostParts(client)
		if err != nil || len(parts) > 2 {
			return m, errMember
		}
		host := "0.0.0.0"
		if len(parts) == 2 {
			host = parts[0]
		}
		port, err := portNumber(parts[len(parts)-1])
		if err != nil {
			return m, fmt.Errorf("client port: %w", err)
		}
		m.Client = Address(host, port)
	}
	role := ""
	for addr := range strings.SplitSeq(server, "|") {
		parts, err := hostParts(addr)
		if err != nil || len(parts) < 3 || len(parts) > 4 {
			return m, errMember
		}
		peer, err := peerAddr(parts)
		if err != nil {
			return m, err
		}
		m.Addrs = append(m.Addrs, peer)
		if len(parts) == 4 {
			r := strings.ToLower(strings.TrimSpace(parts[3]))
			if r != "participant" && r != "observer" {
				return m, fmt.Errorf("role %q: expected participant or observer", parts[3])
			}
			if role != "" && r != role {
				return m, errors.New("expected one role for all addresses")
			}
			role = r
		}
	}
	m.Observer = role == "observer"
	return m, nil
}

// peerAddr reads host, quorum port and election port.
func peerAddr(parts []string) (PeerAddr, error) {
	quorum, err := portNumber(parts[1])
	if err != nil {
		return PeerAddr{}, fmt.Errorf("quorum port: %w", err)
	}
	election, err := portNumber(parts[2])
	if err != nil {
		return PeerAddr{}, fmt.Errorf("election port: %w", err)
	}
	if quorum == election {
		return PeerAddr{}, errors.New("expected different quorum and election ports")
	}
	return PeerAddr{Host: parts[0], Quorum: quorum, Election: election}, nil
}

// hostParts splits at colons, an IPv6 address in brackets counting as one part.
func hostParts(s string) ([]string, error) {
	rest, bracketed := strings.CutPrefix(s, "[")
	if !bracketed {
		return strings.Split(s, ":"), nil
	}
	host, ports, closed := strings.Cut(rest, "]:")
	if !closed || ports == "" {
		return nil, errMember
	}
	return append([]string{host}, strings.Split(ports, ":")...), nil
}

func portNumber(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > math.MaxUint16 {
		return 0, fmt.Errorf("%q: expected a number from 0 to 65535", s)
	}
	return n, nil
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
	me := q.Member(q.ServerID)
	if me == nil {
		return
	}
	if _, given := l.c.settings["peerType"]; given && q.Observer != me.Observer {
		l.warn(l.c.settings["peerType"].Source, "peerType", "differs from this server's line, which counts")
	}
	q.Observer = me.Observer
	if !me.Client.IsSet() {
		return
	}
	static := l.c.Client.Addr
	if static.IsSet() && (static.Port != me.Client.Port || !static.all() && static.Host != me.Client.Host) {
		l.refuse("clientPort", fmt.Sprintf("the client address %v differs from %v in the line of server %d", static, me.Client, me.ID))
		return
	}
	l.c.Client.Addr = me.Client
	l.c.settings["clientPort"] = Setting{strconv.Itoa(me.Client.Port), l.c.settings[fmt.Sprintf("server.%d", me.ID)].Source}
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
	l.checkGroups()
	switch {
	case voters == 0 && !q.Standalone:
		l.refuse("standaloneEnabled", "is false, so at least one participant must be named in a server line")
		return
	case voters == 0 && len(q.Servers) > 0:
		l.fail(Source{}, "server", "", "observers alone make no ensemble: expected a participant")
	case voters == 1 && q.Standalone && len(q.Servers) > 1:
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
	case q.Member(q.ServerID) == nil:
		l.refuse("myid", fmt.Sprintf("no server line has the number %d", q.ServerID))
	}
	if voters <= 2 {
		l.warn(Source{}, "server", "no failure will be survived: expected at least 3 participants")
	} else if voters%2 == 0 {
		l.warn(Source{}, "server", "an even number of participants survives no more failures than one less")
	}
}

// checkGroups makes sure that groups, if any, hold every voter and nobody else.
func (l *loader) checkGroups() {
	q := &l.c.Quorum
	if q.Groups == nil && q.Weights == nil {
		return
	}
	grouped := map[proto.ServerID]bool{}
	for id, members := range q.Groups {
		for _, sid := range members {
			grouped[sid] = true
			if q.Member(sid) == nil {
				l.refuse(fmt.Sprintf("group.%d", id), fmt.Sprintf("names server %d, which has no server line", sid))
			}
		}
	}
	for i := range q.Servers {
		if m := &q.Servers[i]; !m.Observer && !grouped[m.ID] {
			l.refuse(fmt.Sprintf("server.%d", m.ID), "is in no group, though there are groups or weights")
		}
	}
}
