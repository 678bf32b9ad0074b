package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zebu/internal/vfs"
	"zebu/proto"
	"zebu/storage"
)

func newSnapshotCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Look into snapshots",
		Long: `Look into snapshots, those of zebu and of Apache ZooKeeper alike: the files snapshot.<zxid>, with .gz or
.snappy if compressed, in version-2 of the dataDir. Files are only read; a server may be running on them.`,
	}
	cmd.AddCommand(newSnapshotDumpCommand(), newSnapshotVerifyCommand(), newSnapshotStatsCommand())
	return cmd
}

// oneFile is cobra.ExactArgs(1) with exit code 2.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return &exitError{exitInvalid, usageError{cmd, fmt.Errorf("expected one file, got %d", len(args))}}
	}
	return nil
}

// readSnapshot passes a snapshot file to b and checks its seals.
func readSnapshot(name string, b storage.Builder) (tail storage.SnapshotTail, err error) {
	r, err := storage.OpenSnapshot(vfs.OS, name)
	if err != nil {
		return tail, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if tail, err = storage.ReadSnapshotStream(r, b); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return tail, err
}

func newSnapshotDumpCommand() *cobra.Command {
	var data bool
	cmd := &cobra.Command{
		Use:   "dump FILE",
		Short: "Print a snapshot: sessions, ACLs, nodes in their order, digest",
		Example: `  zebu snapshot dump /var/lib/zookeeper/version-2/snapshot.1c
  zebu snapshot dump --data snapshot.1c.gz | grep ' /config'
  zebu snapshot dump -o json snapshot.1c | jq -r 'select(.size > 100000) | .path'`,
		Args: oneFile,
	}
	asJSON := textOrJSON(cmd)
	cmd.Flags().BoolVar(&data, "data", false, "print the data of nodes, too: quoted, in JSON as base64")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		js, err := asJSON()
		if err != nil {
			return err
		}
		w := bufio.NewWriter(cmd.OutOrStdout())
		d := &snapshotDumper{w: w, data: data}
		if js {
			d.json = json.NewEncoder(w)
			d.json.SetEscapeHTML(false)
		}
		tail, err := readSnapshot(args[0], d)
		if err == nil {
			err = d.tail(tail)
		}
		return errors.Join(w.Flush(), err)
	}
	return cmd
}

// snapshotDumper prints what it is given.
type snapshotDumper struct {
	storage.NopBuilder
	w    io.Writer
	json *json.Encoder // nil for text
	data bool
}

type sessionView struct {
	Session string `json:"session"`
	Timeout int32  `json:"timeout"` // milliseconds
}

type aclView struct {
	ACLID int64    `json:"aclID"`
	ACL   []string `json:"acl"`
}

type nodeView struct {
	Path     string       `json:"path"`
	Size     *int         `json:"size,omitempty"` // of the data in bytes; absent if it is null
	Data     []byte       `json:"data,omitempty"`
	ACLID    int64        `json:"aclID"`
	Czxid    string       `json:"czxid"`
	Mzxid    string       `json:"mzxid"`
	Pzxid    string       `json:"pzxid"`
	Ctime    proto.Millis `json:"ctime"` // milliseconds
	Mtime    proto.Millis `json:"mtime"`
	Version  int32        `json:"version"`
	Cversion int32        `json:"cversion"` // creations of children
	Aversion int32        `json:"aversion"`
	Owner    string       `json:"ephemeralOwner,omitempty"`
}

type tailView struct {
	DigestZxid    string `json:"digestZxid,omitempty"`
	DigestVersion int32  `json:"digestVersion,omitempty"`
	Digest        string `json:"digest,omitempty"`
	LastZxid      string `json:"lastProcessedZxid,omitempty"`
}

// AddSession prints a session.
func (d *snapshotDumper) AddSession(id proto.SessionID, timeout int32) error {
	if d.json != nil {
		return d.json.Encode(sessionView{id.String(), timeout})
	}
	_, err := fmt.Fprintf(d.w, "session %s timeout %v\n", id, time.Duration(timeout)*time.Millisecond)
	return err
}

// AddACL prints a list of access rights to which nodes refer.
func (d *snapshotDumper) AddACL(id int64, acl []proto.ACL) error {
	v := aclView{id, aclStrings(acl)}
	if d.json != nil {
		return d.json.Encode(v)
	}
	_, err := fmt.Fprintf(d.w, "acl %d %s\n", id, printable(strings.Join(v.ACL, ",")))
	return err
}

// AddNode prints a node.
func (d *snapshotDumper) AddNode(path string, data []byte, aclID int64, st *proto.StatPersisted) error {
	if path == "" {
		path = "/"
	}
	v := nodeView{
		Path: path, ACLID: aclID, Czxid: st.Czxid.String(), Mzxid: st.Mzxid.String(), Pzxid: st.Pzxid.String(),
		Ctime: st.Ctime, Mtime: st.Mtime, Version: st.Version, Cversion: st.Cversion, Aversion: st.Aversion,
	}
	if data != nil {
		n := len(data)
		v.Size = &n
		if d.data {
			v.Data = data
		}
	}
	if st.EphemeralOwner != 0 {
		v.Owner = ownerString(st.EphemeralOwner)
	}
	if d.json != nil {
		return d.json.Encode(v)
	}
	return v.print(d.w)
}

func (v *nodeView) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "node %s", printable(v.Path))
	switch {
	case v.Size == nil:
		b.WriteString(" no data")
	case v.Data != nil:
		fmt.Fprintf(&b, " %d bytes %q", *v.Size, v.Data)
	default:
		fmt.Fprintf(&b, " %d bytes", *v.Size)
	}
	fmt.Fprintf(&b, " acl %d czxid %s mzxid %s pzxid %s mtime %s version %d cversion %d aversion %d",
		v.ACLID, v.Czxid, v.Mzxid, v.Pzxid, time.UnixMilli(int64(v.Mtime)).UTC().Format("2006-01-02T15:04:05.000Z"),
		v.Version, v.Cversion, v.Aversion)
	if v.Owner != "" {
		fmt.Fprintf(&b, " owner %s", v.Owner)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// ownerString says what an ephemeralOwner stands for (spec 2.3).
func ownerString(o proto.SessionID) string {
	switch {
	case o == proto.ContainerOwner:
		return "container"
	case o&proto.TTLOwnerPrefix == proto.TTLOwnerPrefix:
		return fmt.Sprintf("ttl:%v", time.Duration(o&proto.SessionID(proto.MaxTTL))*time.Millisecond)
	}
	return o.String()
}

func (d *snapshotDumper) tail(t storage.SnapshotTail) error {
	var v tailView
	if t.HasDigest {
		v.DigestZxid, v.DigestVersion, v.Digest = t.DigestZxid.String(), t.DigestVersion, fmt.Sprintf("%#x", t.Digest)
	}
	if t.HasLastZxid {
		v.LastZxid = t.LastZxid.String()
	}
	if d.json != nil {
		return d.json.Encode(v)
	}
	if t.HasDigest {
		if _, err := fmt.Fprintf(d.w, "digest %s version %d at %s\n", v.Digest, v.DigestVersion, v.DigestZxid); err != nil {
			return err
		}
	}
	if t.HasLastZxid {
		_, err := fmt.Fprintf(d.w, "last zxid %s\n", v.LastZxid)
		return err
	}
	return nil
}

func newSnapshotVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check that snapshots are whole",
		Long: `Check that snapshots are whole and unchanged: the checksums over their contents, and that they can be decoded
to the end.

Exit codes: 0 whole, 1 damaged.`,
		Example: `  zebu snapshot verify /var/lib/zookeeper/version-2/snapshot.*`,
		Args:    atLeastOneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			return verifySnapshots(cmd.OutOrStdout(), storage.SortByZxid(args))
		},
	}
}

func verifySnapshots(w io.Writer, names []string) error {
	bad := 0
	for _, name := range names {
		err := storage.VerifySnapshot(vfs.OS, name)
		if err == nil {
			_, err = readSnapshot(name, checkedBuilder{parents: map[string]bool{}})
		}
		line := name + ": ok"
		if err != nil {
			bad++
			line = "DAMAGED: " + err.Error()
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d snapshots are damaged", bad, len(names))
	}
	return nil
}

// checkedBuilder checks that parents come before their children.
type checkedBuilder struct {
	storage.NopBuilder
	parents map[string]bool
}

// AddNode fails for a node whose parent has not come.
func (c checkedBuilder) AddNode(path string, _ []byte, _ int64, _ *proto.StatPersisted) error {
	if path != "" {
		i := strings.LastIndexByte(path, '/')
		if i < 0 || !c.parents[path[:i]] {
			return fmt.Errorf("node %q has no parent", path)
		}
	}
	c.parents[strings.Clone(path)] = true
	return nil
}

func newSnapshotStatsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats FILE",
		Short: "Count what is in a snapshot and where it is",
		Long: `Count what is in a snapshot (nodes, ephemerals, sessions, ACLs, bytes) and how nodes and bytes are spread over
the children of the root.`,
		Example: `  zebu snapshot stats /var/lib/zookeeper/version-2/snapshot.1c`,
		Args:    oneFile,
	}
	asJSON := textOrJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		js, err := asJSON()
		if err != nil {
			return err
		}
		s := snapshotStats{Top: map[string]*topStats{}}
		if _, err := readSnapshot(args[0], &s); err != nil {
			return err
		}
		if js {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(&s)
		}
		return s.print(cmd.OutOrStdout())
	}
	return cmd
}

// snapshotStats counts what it is given. Bytes are those of paths and data.
type snapshotStats struct {
	storage.NopBuilder
	Nodes       int                  `json:"nodes"`
	DataBytes   int64                `json:"dataBytes"`
	PathBytes   int64                `json:"pathBytes"`
	Ephemerals  int                  `json:"ephemerals"`
	Containers  int                  `json:"containers"`
	TTLs        int                  `json:"ttlNodes"`
	Sessions    int                  `json:"sessions"`
	ACLs        int                  `json:"acls"`
	Depth       int                  `json:"depth"`
	Largest     string               `json:"largest"`
	LargestSize int                  `json:"largestSize"`
	Top         map[string]*topStats `json:"top"`
}

type topStats struct {
	Nodes int   `json:"nodes"`
	Bytes int64 `json:"bytes"`
}

// AddSession counts a session.
func (s *snapshotStats) AddSession(proto.SessionID, int32) error { s.Sessions++; return nil }

// AddACL counts a list of access rights.
func (s *snapshotStats) AddACL(int64, []proto.ACL) error { s.ACLs++; return nil }

// AddNode counts a node.
func (s *snapshotStats) AddNode(path string, data []byte, _ int64, st *proto.StatPersisted) error {
	s.Nodes++
	s.DataBytes += int64(len(data))
	s.PathBytes += int64(len(path))
	s.Depth = max(s.Depth, strings.Count(path, "/"))
	if len(data) > s.LargestSize || s.Largest == "" {
		s.Largest, s.LargestSize = strings.Clone(cmp.Or(path, "/")), len(data)
	}
	switch o := st.EphemeralOwner; {
	case o == 0:
	case o == proto.ContainerOwner:
		s.Containers++
	case o&proto.TTLOwnerPrefix == proto.TTLOwnerPrefix:
		s.TTLs++
	default:
		s.Ephemerals++
	}
	if path == "" {
		return nil
	}
	name := path
	if i := strings.IndexByte(path[1:], '/'); i >= 0 {
		name = path[:i+1]
	}
	t := s.Top[name]
	if t == nil {
		t = &topStats{}
		s.Top[strings.Clone(name)] = t
	}
	t.Nodes++
	t.Bytes += int64(len(path) + len(data))
	return nil
}

func (s *snapshotStats) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "nodes       %d, at most %d deep\n", s.Nodes, s.Depth)
	fmt.Fprintf(&b, "bytes       %d of data, %d of paths\n", s.DataBytes, s.PathBytes)
	fmt.Fprintf(&b, "ephemerals  %d\n", s.Ephemerals)
	fmt.Fprintf(&b, "containers  %d\n", s.Containers)
	fmt.Fprintf(&b, "TTL nodes   %d\n", s.TTLs)
	fmt.Fprintf(&b, "sessions    %d\n", s.Sessions)
	fmt.Fprintf(&b, "ACLs        %d\n", s.ACLs)
	fmt.Fprintf(&b, "largest     %s with %d bytes\n", printable(s.Largest), s.LargestSize)
	if len(s.Top) > 0 {
		fmt.Fprintf(&b, "\n%12s %14s  below\n", "nodes", "bytes")
	}
	names := slices.SortedFunc(maps.Keys(s.Top), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Top[b].Bytes, s.Top[a].Bytes), cmp.Compare(a, b))
	})
	for _, n := range names {
		fmt.Fprintf(&b, "%12d %14d  %s\n", s.Top[n].Nodes, s.Top[n].Bytes, printable(n))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
