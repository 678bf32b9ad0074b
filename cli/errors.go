package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"zebu/internal/client"
	"zebu/proto"
)

// Exit codes of `zebu cli`. zkCli knows 0, 1 for every failure and 127.
const (
	ExitNo         = 1   // the answer is no: diff found differences, find or grep nothing
	ExitUsage      = 2   // wrong invocation, flag or path
	ExitNoNode     = 3   // the node does not exist
	ExitConflict   = 4   // exists already, has children, other version: the state is not as expected
	ExitPermission = 5   // ACLs or authentication forbid it, or a quota
	ExitConnection = 6   // no server reached, connection or session lost: a write may have happened or not
	ExitFailed     = 7   // anything else went wrong
	ExitUnknown    = 127 // no such command
	ExitInterrupt  = 130 // Ctrl-C
)

// usageError is a wrong command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// unknownCommand is a command that there is not.
type unknownCommand struct{ name string }

func (e *unknownCommand) Error() string { return "Command not found: " + e.name }

// nodeError is an operation on a node that failed.
type nodeError struct {
	path string
	err  error
}

func (e *nodeError) Error() string { return messageOf(e.err, e.path) }
func (e *nodeError) Unwrap() error { return e.err }

// at says which node a failure concerns.
func at(path string, err error) error {
	var already *nodeError
	if err == nil || errors.As(err, &already) {
		return err
	}
	return &nodeError{path, err}
}

var (
	// errNo ends a command whose answer is no, without a message.
	errNo = errors.New("no")
	// errNotConnected is the outcome of commands after close.
	errNotConnected = errors.New("not connected")
)

// zkCli's messages for the outcomes it has one for; the path follows.
var messages = map[proto.ErrCode]string{
	proto.ErrNoNode:                  "Node does not exist: ",
	proto.ErrNoChildrenForEphemerals: "Ephemerals cannot have children: ",
	proto.ErrNodeExists:              "Node already exists: ",
	proto.ErrNotEmpty:                "Node not empty: ",
	proto.ErrNotReadOnly:             "Not a read-only call: ",
	proto.ErrInvalidACL:              "Acl is not valid : ",
	proto.ErrNoAuth:                  "Insufficient permission : ",
	proto.ErrBadArguments:            "Arguments are not valid : ",
	proto.ErrBadVersion:              "version No is not valid : ",
	proto.ErrQuotaExceeded:           "Quota has exceeded : ",
}

func messageOf(err error, path string) string {
	var code proto.ErrCode
	var lost *client.ConnectionError
	var otherwise *noSuchNode
	switch {
	case errors.As(err, &otherwise):
		return otherwise.text
	case errors.As(err, &lost):
		return fmt.Sprintf("KeeperErrorCode = ConnectionLoss for %s (%v)", path, lost)
	case !errors.As(err, &code):
		return err.Error()
	case code == proto.ErrReconfigInProgress:
		return "Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)"
	case code == proto.ErrNewConfigNoQuorum:
		return "The servers of the new configuration that are connected and up to date are no quorum: " +
			"start them, let them synchronise, and try again"
	}
	if m, ok := messages[code]; ok {
		return m + path
	}
	name, ok := codeNames[code]
	if !ok {
		name = strings.TrimPrefix(code.Error(), "zookeeper: ")
	}
	if path == "" {
		return "KeeperErrorCode = " + name
	}
	return "KeeperErrorCode = " + name + " for " + path
}

// codeNames are zkCli's names for outcomes that it has no message of its own for.
var codeNames = map[proto.ErrCode]string{
	proto.ErrSystemError: "SystemError", proto.ErrRuntimeInconsistency: "RuntimeInconsistency",
	proto.ErrDataInconsistency: "DataInconsistency", proto.ErrMarshalling: "MarshallingError",
	proto.ErrUnimplemented: "Unimplemented", proto.ErrOperationTimeout: "OperationTimeout", proto.ErrAPIError: "APIError",
	proto.ErrSessionExpired: "Session expired", proto.ErrInvalidCallback: "Invalid callback", proto.ErrAuthFailed: "AuthFailed",
	proto.ErrSessionMoved: "Session moved", proto.ErrEphemeralOnLocalSession: "Ephemeral node on local session",
	proto.ErrNoWatcher: "No such watcher", proto.ErrReconfigDisabled: "Reconfig is disabled",
	proto.ErrThrottledOp: "Op throttled due to high load", proto.ErrSessionClosedRequireSASL: "Session closed because client failed to authenticate",
}

// failure is an error as it is told to people and, in JSON, to programs.
type failure struct {
	Code    string `json:"code,omitempty"` // ZooKeeper's name for the outcome, if it is one
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Hints by outcome: what to do about it. %s is the path.
var hints = map[proto.ErrCode]string{
	proto.ErrNotEmpty:                "deleteall %s removes it with everything below.",
	proto.ErrNodeExists:              "set %s DATA changes it.",
	proto.ErrBadVersion:              "Someone changed it meanwhile. stat %s tells the version it has now.",
	proto.ErrNoAuth:                  "getAcl %s tells who may; addauth SCHEME CREDENTIALS says who you are, whoami who you are now.",
	proto.ErrInvalidACL:              "An ACL is scheme:id:perms,… such as world:anyone:cdrwa or digest:user:HASH:r. auth: needs an addauth before.",
	proto.ErrNoChildrenForEphemerals: "The parent ends with its session; make it without -e.",
	proto.ErrAuthFailed:              "The server does not know the scheme or refuses the credentials.",
	proto.ErrUnimplemented:           "This server does not offer it. TTL nodes need zookeeper.extendedTypesEnabled=true on the servers; addWatch needs 3.6, whoami 3.7.",
	proto.ErrReconfigDisabled:        "The servers need reconfigEnabled=true.",
	proto.ErrQuotaExceeded:           "listquota PATH shows the limit and what is used.",
	proto.ErrNoWatcher:               "This session has no such watch there.",
	proto.ErrNotReadOnly:             "The server is cut off from its quorum and only reads.",
	proto.ErrSessionExpired:          "Its ephemeral nodes and watches are gone. The next command opens a new session.",
}

// describe turns an error into what is told of it.
func describe(err error) failure {
	f := failure{Message: err.Error()}
	var node *nodeError
	if errors.As(err, &node) {
		f.Path = node.path
	}
	var code proto.ErrCode
	var lost *client.ConnectionError
	var unknown *unknownCommand
	switch {
	case errors.As(err, &lost):
		f.Code = proto.ErrConnectionLoss.String()
		f.Hint = "Is the server running, and is this its client port? -server HOST:PORT says where; it is tried again meanwhile."
		if lost.Lost {
			f.Hint = "A write may have been executed or not: look before repeating it."
		}
	case errors.Is(err, errNotConnected):
		f.Message = "Not connected"
		f.Hint = "connect opens a session."
	case errors.As(err, &unknown):
		f.Hint = "help lists the commands."
		if near := nearest(unknown.name); near != "" {
			f.Hint = "Did you mean " + near + "? help lists the commands."
		}
	case errors.Is(err, context.Canceled):
		f.Message = "interrupted"
	case errors.As(err, &code):
		f.Code = code.String()
		hint := hints[code]
		var orphan *missingParent
		if errors.As(err, &orphan) {
			hint = "Its parent is missing: create " + orphan.parent + " first."
		} else if code == proto.ErrNoNode && f.Path != "" && f.Path != "/" {
			hint = "ls " + parent(f.Path) + " shows what there is."
		}
		switch {
		case f.Path != "":
			hint = strings.ReplaceAll(hint, "%s", f.Path)
		case code == proto.ErrBadVersion: // only reconfig has no path
			hint = "The configuration has another version by now: config shows it."
		case strings.Contains(hint, "%s"):
			hint = ""
		}
		f.Hint = hint
	}
	return f
}

func parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// code is the exit code for an error.
func (s *shell) code(err error) int {
	if !s.o.Compat {
		return exitCode(err)
	}
	var unknown *unknownCommand
	switch {
	case errors.As(err, &unknown):
		return ExitUnknown
	case errors.Is(err, context.Canceled):
		return ExitInterrupt
	}
	return 1
}

func exitCode(err error) int {
	var code proto.ErrCode
	var lost *client.ConnectionError
	var usage *usageError
	var path *client.PathError
	var unknown *unknownCommand
	switch {
	case errors.Is(err, errNo):
		return ExitNo
	case errors.As(err, &usage), errors.As(err, &path):
		return ExitUsage
	case errors.As(err, &unknown):
		return ExitUnknown
	case errors.As(err, &lost), errors.Is(err, errNotConnected), errors.Is(err, client.ErrClosed):
		return ExitConnection
	case errors.Is(err, context.Canceled):
		return ExitInterrupt
	case errors.Is(err, context.DeadlineExceeded):
		return ExitConnection
	case !errors.As(err, &code):
		return ExitFailed
	}
	switch code {
	case proto.ErrNoNode:
		return ExitNoNode
	case proto.ErrNodeExists, proto.ErrNotEmpty, proto.ErrBadVersion, proto.ErrNoChildrenForEphemerals, proto.ErrReconfigInProgress:
		return ExitConflict
	case proto.ErrNoAuth, proto.ErrAuthFailed, proto.ErrInvalidACL, proto.ErrQuotaExceeded, proto.ErrSessionClosedRequireSASL:
		return ExitPermission
	case proto.ErrSessionExpired, proto.ErrSessionMoved, proto.ErrConnectionLoss:
		return ExitConnection
	case proto.ErrBadArguments:
		return ExitUsage
	}
	return ExitFailed
}
