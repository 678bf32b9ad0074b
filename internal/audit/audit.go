// Package audit writes ZooKeeper's audit log: one line for the outcome of every write (spec 13.7).
package audit

import (
	"bytes"
	"strings"
	"sync"

	"go.uber.org/zap"

	"zebu/proto"
)

// Operation is what was done, in the words of the log.
type Operation string

// Operations.
const (
	ServerStart       Operation = "serverStart"
	ServerStop        Operation = "serverStop"
	Create            Operation = "create"
	Delete            Operation = "delete"
	SetData           Operation = "setData"
	SetACL            Operation = "setAcl"
	Multi             Operation = "multiOperation" // a multi that failed; those of one that succeeded have lines of their own
	Reconfig          Operation = "reconfig"
	EphemeralDeletion Operation = "ephemeralZNodeDeletionOnSessionCloseOrExpire"
)

// Result is how it ended.
type Result string

// Results.
const (
	Success Result = "success"
	Failure Result = "failure"
	Invoked Result = "invoked" // only for ServerStop
)

// Event is one line. What is empty is left out of it.
type Event struct {
	Session   proto.SessionID // 0: none
	User      string          // names that the connection proved, joined by commas; the server's own user for what it does itself
	IP        string          // the client's address
	Operation Operation
	Path      string
	// NodeType is the create mode's name in lower case, such as [NodeType] returns.
	NodeType string
	ACL      []proto.ACL // the new list, for SetACL
	Result   Result
}

// NodeType returns what the log calls a create mode: "persistent_sequential_with_ttl" and the like, "" for none.
func NodeType(flags int32) string {
	if flags < 0 || int(flags) >= len(nodeTypes) {
		return ""
	}
	return nodeTypes[flags]
}

var nodeTypes = [...]string{
	"persistent", "ephemeral", "persistent_sequential", "ephemeral_sequential", "container", "persistent_with_ttl",
	"persistent_sequential_with_ttl",
}

// Logger writes events. A nil Logger writes none. It is safe for use by many goroutines at once.
type Logger struct {
	log  *zap.Logger
	bufs sync.Pool // of *bytes.Buffer
}

// New returns a logger that writes each line as the message of an entry of l: at level error for a failure, else info, as
// ZooKeeper does.
func New(l *zap.Logger) *Logger {
	return &Logger{log: l, bufs: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
}

// Enabled says whether events are written, for those to whom it costs something to make one.
func (l *Logger) Enabled() bool { return l != nil }

// Log writes an event.
func (l *Logger) Log(e Event) {
	if l == nil {
		return
	}
	b := l.bufs.Get().(*bytes.Buffer)
	b.Reset()
	e.append(b)
	text := b.String()
	l.bufs.Put(b)
	if e.Result == Failure {
		l.log.Error(text)
	} else {
		l.log.Info(text)
	}
}

// String is the line, without a newline.
func (e Event) String() string {
	var b bytes.Buffer
	e.append(&b)
	return b.String()
}

func (e *Event) append(b *bytes.Buffer) {
	field := func(name, value string) {
		if value == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteByte('\t')
		}
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(clean.Replace(value))
	}
	if e.Session != 0 {
		field("session", e.Session.String())
	}
	field("user", e.User)
	field("ip", e.IP)
	field("operation", string(e.Operation))
	field("znode", e.Path)
	field("znode_type", e.NodeType)
	field("acl", aclText(e.ACL))
	field("result", string(e.Result))
}

// clean keeps what clients choose (paths, user names) from forging fields or lines. ZooKeeper writes them as they are.
var clean = strings.NewReplacer("\t", `\t`, "\n", `\n`, "\r", `\r`)

// permLetters are the permissions in the order in which ZooKeeper writes them.
var permLetters = [...]struct {
	perm   int32
	letter byte
}{{proto.PermCreate, 'c'}, {proto.PermDelete, 'd'}, {proto.PermRead, 'r'}, {proto.PermWrite, 'w'}, {proto.PermAdmin, 'a'}}

// aclText writes scheme:id:permissions of each entry, with nothing in between, as ZooKeeper does; but the hash in a digest
// id is masked by an x, as getACL masks it, because it is as good as the password.
func aclText(acl []proto.ACL) string {
	var b strings.Builder
	for _, a := range acl {
		id := a.ID.ID
		if user, _, ok := strings.Cut(id, ":"); ok && a.ID.Scheme == "digest" {
			id = user + ":x"
		}
		b.WriteString(a.ID.Scheme + ":" + id + ":")
		for _, p := range permLetters {
			if a.Perms&p.perm != 0 {
				b.WriteByte(p.letter)
			}
		}
	}
	return b.String()
}
