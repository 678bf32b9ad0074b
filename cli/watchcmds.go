package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"zebu/internal/client"
	"zebu/proto"
)

var watchCommands = []command{
	{name: "addWatch", args: "path", help: "set a persistent watch", min: 1, run: addWatch,
		flags: []flag{{"m", "mode", "PERSISTENT, or PERSISTENT_RECURSIVE for the whole subtree (default)"}}},
	{name: "removewatches", args: "path", help: "remove this session's watches on a node", min: 1, run: removeWatches,
		flags: []flag{{"c", "", "watches of children"}, {"d", "", "watches of data"}, {"p", "", "persistent watches"},
			{"r", "", "persistent recursive watches"}, {"a", "", "all (default)"}, {"l", "", "forget them even if no server can be told"}}},
	{name: "watch", args: "path", help: "follow what happens at and below a node, until Ctrl-C", min: 1, ours: true, run: watch,
		flags: []flag{{"n", "count", "end after so many events"}, {"d", "", "print the data of changed nodes too"}}},
}

func addWatch(ctx context.Context, k *call) error {
	path, mode := k.args[0], proto.AddWatchRecursive
	switch m := strings.ToUpper(k.flags["m"]); {
	case len(k.args) > 1:
		return k.cmd.wrong()
	case !k.has("m"), m == "PERSISTENT_RECURSIVE":
	case m == "PERSISTENT":
		mode = proto.AddWatchPersistent
	default:
		return k.cmd.wrong()
	}
	return k.done(path, k.c.AddWatch(ctx, path, mode))
}

func removeWatches(ctx context.Context, k *call) error {
	path, t := k.args[0], proto.WatcherAny
	for _, f := range []struct {
		name string
		t    proto.WatcherType
	}{{"r", proto.WatcherPersistentRecursive}, {"p", proto.WatcherPersistent}, {"d", proto.WatcherData}, {"c", proto.WatcherChildren}} {
		if k.has(f.name) {
			t = f.t
		}
	}
	return k.done(path, k.c.RemoveWatches(ctx, path, t, k.has("l")))
}

// eventJSON is an event that watch prints.
type eventJSON struct {
	Time  string    `json:"time"`
	Event string    `json:"event"`
	Path  string    `json:"path,omitempty"`
	Zxid  string    `json:"zxid,omitempty"`
	Node  *nodeJSON `json:"node,omitempty"`
}

// watch sets a recursive watch and prints what it tells, until the count is full or ctx ends.
func watch(ctx context.Context, k *call) error {
	path := k.args[0]
	limit, err := k.number("n", 0, 32)
	if err != nil {
		return err
	}
	events := make(chan client.Event, 4096)
	k.following(path, events)
	defer k.following("", nil)
	defer k.settle() // the event that tells that the watch is gone
	if err := k.c.AddWatch(ctx, path, proto.AddWatchRecursive); err != nil {
		return at(path, err)
	}
	defer unwatch(k.c, path)
	k.note("Watching %s and what is below. Ctrl-C ends it.", path)
	was := client.Connected
	for seen := int64(0); limit <= 0 || seen < limit; {
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.Canceled) {
				return nil // Ctrl-C is how it ends
			}
			return ctx.Err()
		case e := <-events:
			switch {
			case e.Path != "":
				seen++
				err = k.showEvent(ctx, e)
			case !e.State.Alive():
				return proto.ErrSessionExpired
			case e.State != was:
				was = e.State
				k.note("%s %v", time.Now().Format("15:04:05.000"), e.State)
				if e.State != client.Connecting {
					k.note("The watch stands again; what happened meanwhile was not seen.")
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// unwatch takes the watch off again. Servers before 3.9 can take off all watches at once only: theirs stays.
func unwatch(c *client.Client, path string) {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = c.RemoveWatches(ctx, path, proto.WatcherPersistentRecursive, false)
}

// following sends the events at and below path to a command instead of the screen; with nil no more.
func (s *shell) following(path string, events chan<- client.Event) {
	s.mu.Lock()
	s.follow, s.followed = events, path
	s.mu.Unlock()
}

// below says whether path is root or below it.
func below(path, root string) bool {
	return path == root || root == "/" || strings.HasPrefix(path, root+"/")
}

var eventWords = map[proto.EventType]string{
	proto.EventNodeCreated: "created", proto.EventNodeDeleted: "deleted", proto.EventNodeDataChanged: "changed",
	proto.EventNodeChildrenChanged: "children",
}

// showEvent prints an event with what the node is now, which may be later than the event.
func (k *call) showEvent(ctx context.Context, e client.Event) error {
	now := time.Now()
	v := eventJSON{Time: now.UTC().Format("2006-01-02T15:04:05.000Z07:00"), Event: eventWords[e.Type], Path: e.Path}
	if e.Zxid >= 0 {
		v.Zxid = e.Zxid.String()
	}
	text := fmt.Sprintf("%s %-8s %s", now.Format("15:04:05.000"), v.Event, e.Path)
	if e.Type != proto.EventNodeDeleted {
		data, s, err := k.c.Get(ctx, e.Path, false)
		switch {
		case err == nil:
			v.Node = &nodeJSON{Path: e.Path, Stat: statOf(s)}
			v.Node.setData(data)
			text += fmt.Sprintf("  version %d, %d bytes", s.Version, len(data))
			if k.has("d") {
				text += ": " + strings.ToValidUTF8(string(data), "\ufffd")
			}
		case !errors.Is(err, proto.ErrNoNode) && !errors.Is(err, proto.ErrNoAuth):
			return at(e.Path, err)
		}
	}
	return k.emit(v, text+"\n")
}
