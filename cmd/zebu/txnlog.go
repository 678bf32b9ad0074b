package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"zebu/internal/vfs"
	"zebu/proto"
	"zebu/storage"
)

func newTxnlogCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "txnlog",
		Short: "Look into transaction logs",
		Long: `Look into transaction logs, those of zebu and of Apache ZooKeeper alike: the files log.<zxid> in version-2
of the dataLogDir. Files are only read; a server may be running on them.`,
	}
	cmd.AddCommand(newTxnlogDumpCommand(), newTxnlogVerifyCommand())
	return cmd
}

// maxTxn bounds the transactions that the tools believe.
const maxTxn = 1<<31 - 1

// atLeastOneFile is cobra.MinimumNArgs(1) with exit code 2.
func atLeastOneFile(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &exitError{exitInvalid, usageError{cmd, errors.New("which file?")}}
	}
	return nil
}

// textOrJSON adds the flag -o, and returns what to call for its value.
func textOrJSON(cmd *cobra.Command) func() (asJSON bool, err error) {
	output := cmd.Flags().StringP("output", "o", "text", "how to print: text or json (one object a line)")
	return func() (bool, error) {
		if *output != "text" && *output != "json" {
			return false, &exitError{exitInvalid, fmt.Errorf("--output %s: expected text or json", *output)}
		}
		return *output == "json", nil
	}
}

func newTxnlogDumpCommand() *cobra.Command {
	var data bool
	cmd := &cobra.Command{
		Use:   "dump FILE...",
		Short: "Print the transactions in log files, one a line",
		Long: `Print the transactions in log files, one a line: zxid, time, session, the client's number of the request
(cxid), operation, path, size of the data, and the digest of the tree after it. The operations of a multi
follow indented. Of a transaction of the etcd API there is "etcd", the request and its key, and what a txn
does then or else; whether it did anything was decided when it was applied. Its session stands for the
server that took the request.`,
		Example: `  zebu txnlog dump /var/lib/zookeeper/version-2/log.1
  zebu txnlog dump --data log.1 | grep /config
  zebu txnlog dump -o json log.* | jq 'select(.session == "0x100000000000001")'`,
		Args: atLeastOneFile,
	}
	asJSON := textOrJSON(cmd)
	cmd.Flags().BoolVar(&data, "data", false, "print the data of nodes, too: quoted, in JSON as base64")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		js, err := asJSON()
		if err != nil {
			return err
		}
		w := bufio.NewWriter(cmd.OutOrStdout())
		for _, name := range args {
			if err := dumpLog(w, name, js, data); err != nil {
				return errors.Join(w.Flush(), err)
			}
		}
		return w.Flush()
	}
	return cmd
}

// txnView is a transaction to print.
type txnView struct {
	Zxid    string    `json:"zxid"`
	Time    time.Time `json:"time"`
	Session string    `json:"session"`
	Cxid    int32     `json:"cxid"`
	opView
	Digest string `json:"digest,omitempty"`
	Offset int64  `json:"offset"`
}

// opView is what a transaction, or one operation of a multi, does.
type opView struct {
	Type    string    `json:"type"`
	Path    string    `json:"path,omitempty"`
	Size    *int      `json:"size,omitempty"` // of the data in bytes; absent if there is none or it is null
	Data    []byte    `json:"data,omitempty"`
	ACL     []string  `json:"acl,omitempty"`
	Version *int32    `json:"version,omitempty"`
	Flags   []string  `json:"flags,omitempty"`
	TTL     int64     `json:"ttl,omitempty"`     // milliseconds
	Timeout int32     `json:"timeout,omitempty"` // milliseconds
	Err     string    `json:"err,omitempty"`
	Paths   []string  `json:"paths,omitempty"` // of a closeSession: what goes with it
	Etcd    *etcdView `json:"etcd,omitempty"`
	Ops     []opView  `json:"ops,omitempty"`
	Note    string    `json:"note,omitempty"`
}

func dumpLog(w io.Writer, name string, asJSON, data bool) (err error) {
	r, err := storage.OpenLog(vfs.OS, name, maxTxn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		v := viewTxn(&rec, data)
		if asJSON {
			err = enc.Encode(v)
		} else {
			err = v.print(w)
		}
		if err != nil {
			return err
		}
	}
	if t := r.Tail(); t.Torn != "" && !asJSON {
		_, err = fmt.Fprintf(w, "# %s ends at offset %d in a torn record: %s\n", name, t.Offset, t.Torn)
	}
	return err
}

func viewTxn(rec *storage.Record, data bool) *txnView {
	h := &rec.Header
	d := proto.NewDecoder(rec.Body)
	v := &txnView{
		Zxid: h.Zxid.String(), Time: time.UnixMilli(int64(h.Time)).UTC(), Session: h.ClientID.String(), Cxid: h.Cxid,
		opView: viewOp(h.Type, &d, data), Offset: rec.Offset,
	}
	if d.Err() == nil && d.Remaining() > 0 {
		var digest proto.TxnDigest
		if digest.Decode(&d); d.Err() == nil {
			v.Digest = fmt.Sprintf("%#x", digest.TreeDigest)
		}
	}
	return v
}

// viewOp decodes the body of a transaction or of one operation of a multi. What it cannot decode it says in Note.
func viewOp(op proto.OpCode, d *proto.Decoder, data bool) opView {
	v := opView{Type: op.String()}
	content := func(b []byte) {
		if b == nil {
			return
		}
		n := len(b)
		v.Size = &n
		if data {
			v.Data = b
		}
	}
	switch op {
	case proto.OpCreate, proto.OpCreate2:
		var t proto.CreateTxn
		t.Decode(d)
		v.Path, v.ACL = t.Path, aclStrings(t.ACL)
		content(t.Data)
		if t.Ephemeral {
			v.Flags = append(v.Flags, "ephemeral")
		}
	case proto.OpCreateContainer:
		var t proto.CreateContainerTxn
		t.Decode(d)
		v.Path, v.ACL = t.Path, aclStrings(t.ACL)
		content(t.Data)
	case proto.OpCreateTTL:
		var t proto.CreateTTLTxn
		t.Decode(d)
		v.Path, v.ACL, v.TTL = t.Path, aclStrings(t.ACL), t.TTL
		content(t.Data)
	case proto.OpDelete, proto.OpDeleteContainer:
		var t proto.DeleteTxn
		t.Decode(d)
		v.Path = t.Path
	case proto.OpSetData, proto.OpReconfig:
		var t proto.SetDataTxn
		t.Decode(d)
		v.Path, v.Version = t.Path, &t.Version
		content(t.Data)
	case proto.OpSetACL:
		var t proto.SetACLTxn
		t.Decode(d)
		v.Path, v.ACL, v.Version = t.Path, aclStrings(t.ACL), &t.Version
	case proto.OpCheck:
		var t proto.PathVersion
		t.Decode(d)
		v.Path, v.Version = t.Path, &t.Version
	case proto.OpCreateSession, proto.OpCloseSession, proto.OpError:
		v.viewWithoutNode(op, d)
	case proto.OpMulti:
		v.viewMulti(d, data)
	case proto.OpEtcd:
		v.viewEtcd(d, data)
	default:
		v.Note = fmt.Sprintf("unknown type, %d bytes", d.Remaining())
		d.Reset(nil)
	}
	if d.Err() != nil {
		v.Note = "the body is not that of such a transaction"
	}
	return v
}

// viewWithoutNode decodes the transactions that name no node of their own.
func (v *opView) viewWithoutNode(op proto.OpCode, d *proto.Decoder) {
	switch op {
	case proto.OpCreateSession:
		var t proto.CreateSessionTxn
		t.Decode(d)
		v.Timeout = t.Timeout
	case proto.OpCloseSession:
		if d.Remaining() > 0 { // before 3.6 there is no list
			var t proto.CloseSessionTxn
			t.Decode(d)
			v.Paths = t.Paths
		}
	case proto.OpError:
		var t proto.ErrorResponse
		t.Decode(d)
		v.Err = t.Err.String()
	}
}

func (v *opView) viewMulti(d *proto.Decoder, data bool) {
	var t proto.MultiTxn
	t.Decode(d)
	for _, sub := range t.Txns {
		sd := proto.NewDecoder(sub.Data)
		v.Ops = append(v.Ops, viewOp(sub.Type, &sd, data))
	}
}

var permLetters = []struct {
	perm   int32
	letter byte
}{{proto.PermCreate, 'c'}, {proto.PermDelete, 'd'}, {proto.PermRead, 'r'}, {proto.PermWrite, 'w'}, {proto.PermAdmin, 'a'}}

// aclStrings prints an ACL as ZooKeeper's shell does: scheme:id:cdrwa.
func aclStrings(acl []proto.ACL) []string {
	var out []string
	for _, a := range acl {
		var perms []byte
		for _, p := range permLetters {
			if a.Perms&p.perm != 0 {
				perms = append(perms, p.letter)
			}
		}
		out = append(out, fmt.Sprintf("%s:%s:%s", a.ID.Scheme, a.ID.ID, perms))
	}
	return out
}

func (v *txnView) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s session %s cxid %d %s", v.Zxid, v.Time.Format("2006-01-02T15:04:05.000Z"), v.Session, v.Cxid, v.text())
	if v.Digest != "" {
		fmt.Fprintf(&b, " digest %s", v.Digest)
	}
	b.WriteByte('\n')
	for i := range v.Ops {
		fmt.Fprintf(&b, "    %s\n", v.Ops[i].text())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (v *opView) text() string {
	var b strings.Builder
	b.WriteString(v.Type)
	if v.Etcd != nil {
		b.WriteString(v.Etcd.text())
	}
	if v.Path != "" {
		fmt.Fprintf(&b, " %s", printable(v.Path))
	}
	if v.Size != nil {
		fmt.Fprintf(&b, " %d bytes", *v.Size)
	}
	if v.Data != nil {
		fmt.Fprintf(&b, " %q", v.Data)
	}
	for _, f := range v.Flags {
		fmt.Fprintf(&b, " %s", f)
	}
	if v.Version != nil {
		fmt.Fprintf(&b, " version %d", *v.Version)
	}
	if v.TTL != 0 {
		fmt.Fprintf(&b, " ttl %v", time.Duration(v.TTL)*time.Millisecond)
	}
	if v.Timeout != 0 {
		fmt.Fprintf(&b, " timeout %v", time.Duration(v.Timeout)*time.Millisecond)
	}
	if v.ACL != nil {
		fmt.Fprintf(&b, " acl %s", printable(strings.Join(v.ACL, ",")))
	}
	if v.Err != "" {
		fmt.Fprintf(&b, " %s", v.Err)
	}
	for _, p := range v.Paths {
		fmt.Fprintf(&b, " %s", printable(p))
	}
	if v.Ops != nil {
		fmt.Fprintf(&b, " of %d", len(v.Ops))
	}
	if v.Note != "" {
		fmt.Fprintf(&b, " (%s)", v.Note)
	}
	return b.String()
}

// printable quotes a string if a terminal or a reader of lines could stumble over it.
func printable(s string) string {
	for _, r := range s {
		if r == ' ' || r == '"' || r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return fmt.Sprintf("%q", s)
		}
	}
	return s
}

func newTxnlogVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check log files for damage and gaps",
		Long: `Check log files: the checksum of every transaction, that no zxid is missing within a file or between one file
and the next by the zxids in their names, and how each file ends. A torn end, which a crash leaves, is reported
and is no fault. A gap between files is none if a snapshot covers it, as after a leader sent one.

Exit codes: 0 whole, 1 damaged or with a gap.`,
		Example: `  zebu txnlog verify /var/lib/zookeeper/version-2/log.*`,
		Args:    atLeastOneFile,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return verifyLogs(cmd.OutOrStdout(), storage.SortByZxid(args))
	}
	return cmd
}

func verifyLogs(w io.Writer, names []string) error {
	bad := 0
	var last proto.Zxid
	for _, name := range names {
		rep, err := storage.VerifyLog(vfs.OS, name, maxTxn)
		var corrupt *storage.CorruptError
		if err != nil && !errors.As(err, &corrupt) {
			return err
		}
		if last != 0 && rep.Txns > 0 && !storage.Follows(last, rep.First) {
			bad++
			if _, err := fmt.Fprintf(w, "%s: GAP: begins with %v, the file before ends with %v\n", name, rep.First, last); err != nil {
				return err
			}
		}
		if rep.Txns > 0 {
			last = rep.Last
		}
		if corrupt != nil {
			bad++
		}
		if _, err := fmt.Fprintln(w, reportLine(name, rep, corrupt)); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d log files are damaged or do not follow the one before", bad, len(names))
	}
	return nil
}

func reportLine(name string, rep storage.LogReport, corrupt *storage.CorruptError) string {
	txns := "no transactions"
	if rep.Txns > 0 {
		txns = fmt.Sprintf("%d transactions, %v to %v", rep.Txns, rep.First, rep.Last)
	}
	switch {
	case corrupt != nil:
		return fmt.Sprintf("%s: CORRUPT at offset %d: %s; before it %s", name, corrupt.Offset, corrupt.Reason, txns)
	case rep.Tail.Torn != "":
		return fmt.Sprintf("%s: ok, %s; the end from offset %d on is torn: %s", name, txns, rep.Tail.Offset, rep.Tail.Torn)
	}
	return fmt.Sprintf("%s: ok, %s, %d bytes and %d preallocated", name, txns, rep.Tail.Offset, rep.Size-rep.Tail.Offset)
}
