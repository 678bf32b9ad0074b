package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"zebu/proto"
)

// AnyVersion matches every version of a node or of its ACL.
const AnyVersion int32 = -1

// configPath is the node that holds the ensemble's configuration, whatever the chroot.
const configPath = "/zookeeper/config"

// OpenACL grants everything to everyone.
func OpenACL() []proto.ACL {
	return []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}}
}

// appender and decoder are what proto's records offer.
type appender interface{ Append([]byte) []byte }
type decoder interface{ Decode(*proto.Decoder) }

// do sends one operation and decodes its reply into out, which may be nil. Errors are proto.ErrCode for outcomes that
// the server told, ConnectionError, ErrClosed, or ctx's.
func (s *session) do(ctx context.Context, r *request, in appender, out decoder) error {
	if in != nil {
		r.body = in.Append(nil)
	}
	body, _, err := s.send(ctx, r)
	if err != nil || out == nil {
		return err
	}
	d := proto.NewDecoder(body)
	if out.Decode(&d); d.Err() != nil {
		return fmt.Errorf("reply to %v: %w", r.op, d.Err())
	}
	return nil
}

// Create describes a new node: TTL in milliseconds goes with the modes that have one.
type Create struct {
	Path string
	Data []byte // nil is null
	ACL  []proto.ACL
	Mode proto.CreateMode
	TTL  int64
}

// Create makes a node and returns its path, which a sequential mode lengthens, and what it then is.
func (c *Client) Create(ctx context.Context, n Create) (string, proto.Stat, error) {
	check := n.Path
	if n.Mode.Sequential() {
		check += "1" // a path that ends with / is fine: a number follows
	}
	if err := CheckPath(check); err != nil {
		return "", proto.Stat{}, err
	}
	path := c.root + n.Path
	r := &request{op: proto.OpCreate2}
	var in appender = &proto.CreateRequest{Path: path, Data: n.Data, ACL: n.ACL, Flags: n.Mode}
	switch {
	case n.Mode == proto.Container:
		r.op = proto.OpCreateContainer
	case n.Mode.TTL():
		r.op = proto.OpCreateTTL
		in = &proto.CreateTTLRequest{Path: path, Data: n.Data, ACL: n.ACL, Flags: n.Mode, TTL: n.TTL}
	}
	var out proto.Create2Response
	if err := c.do(ctx, r, in, &out); err != nil {
		return "", proto.Stat{}, err
	}
	return strip(c.root, out.Path), out.Stat, nil
}

// Delete removes a node that has no children, if it has the version.
func (c *Client) Delete(ctx context.Context, path string, version int32) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	return c.do(ctx, &request{op: proto.OpDelete}, &proto.PathVersion{Path: c.real(path), Version: version}, nil)
}

// DeleteAll removes nodes in one transaction, in their order.
func (c *Client) DeleteAll(ctx context.Context, paths []string) error {
	ops := make([]Op, len(paths))
	for i, p := range paths {
		ops[i] = Op{Op: proto.OpDelete, Path: p, Version: AnyVersion}
	}
	return c.Multi(ctx, ops)
}

// multiOutcome finds the first failure among the results of a multi (spec 2.4).
func multiOutcome(reply []byte) error {
	d := proto.NewDecoder(reply)
	for {
		var h proto.MultiHeader
		if h.Decode(&d); d.Err() != nil {
			return fmt.Errorf("reply to multi: %w", d.Err())
		}
		if h.Done {
			return nil
		}
		if h.Op == proto.OpError {
			if e := proto.ErrCode(d.Int32()); e != proto.OK {
				return e
			}
		}
	}
}

// Exists returns a node's metadata, or proto.ErrNoNode. A watch is set in either case.
func (c *Client) Exists(ctx context.Context, path string, watch bool) (proto.Stat, error) {
	var out proto.StatResponse
	p := c.real(path)
	r := &request{op: proto.OpExists, again: true}
	if watch {
		r.registers = func(s *session, e proto.ErrCode) {
			switch e {
			case proto.OK:
				s.watches.add(dataWatch, p)
			case proto.ErrNoNode:
				s.watches.add(existWatch, p)
			}
		}
	}
	err := c.read(ctx, path, r, &proto.PathWatchRequest{Path: p, Watch: watch}, &out)
	return out.Stat, err
}

// Get returns a node's data, nil if it is null, and its metadata.
func (c *Client) Get(ctx context.Context, path string, watch bool) ([]byte, proto.Stat, error) {
	var out proto.GetDataResponse
	p := c.real(path)
	r := &request{op: proto.OpGetData, again: true, registers: onSuccess(watch, dataWatch, p)}
	err := c.read(ctx, path, r, &proto.PathWatchRequest{Path: p, Watch: watch}, &out)
	return out.Data, out.Stat, err
}

// Children returns the names of a node's children, sorted, and its metadata.
func (c *Client) Children(ctx context.Context, path string, watch bool) ([]string, proto.Stat, error) {
	var out proto.GetChildren2Response
	p := c.real(path)
	r := &request{op: proto.OpGetChildren2, again: true, registers: onSuccess(watch, childWatch, p)}
	err := c.read(ctx, path, r, &proto.PathWatchRequest{Path: p, Watch: watch}, &out)
	slices.Sort(out.Children)
	return out.Children, out.Stat, err
}

func onSuccess(watch bool, k kind, path string) func(*session, proto.ErrCode) {
	if !watch {
		return nil
	}
	return func(s *session, e proto.ErrCode) {
		if e == proto.OK {
			s.watches.add(k, path)
		}
	}
}

// read is do for operations on an existing path.
func (c *Client) read(ctx context.Context, path string, r *request, in appender, out decoder) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	return c.do(ctx, r, in, out)
}

// Set replaces a node's data, if it has the version.
func (c *Client) Set(ctx context.Context, path string, data []byte, version int32) (proto.Stat, error) {
	var out proto.StatResponse
	in := &proto.SetDataRequest{Path: c.real(path), Data: data, Version: version}
	err := c.read(ctx, path, &request{op: proto.OpSetData}, in, &out)
	return out.Stat, err
}

// ACL returns a node's access control list and its metadata.
func (c *Client) ACL(ctx context.Context, path string) ([]proto.ACL, proto.Stat, error) {
	var out proto.GetACLResponse
	err := c.read(ctx, path, &request{op: proto.OpGetACL, again: true}, &proto.PathRequest{Path: c.real(path)}, &out)
	return out.ACL, out.Stat, err
}

// SetACL replaces a node's access control list, if that has the version.
func (c *Client) SetACL(ctx context.Context, path string, acl []proto.ACL, version int32) (proto.Stat, error) {
	var out proto.StatResponse
	in := &proto.SetACLRequest{Path: c.real(path), ACL: acl, Version: version}
	err := c.read(ctx, path, &request{op: proto.OpSetACL}, in, &out)
	return out.Stat, err
}

// Sync waits until the server has caught up with its leader.
func (c *Client) Sync(ctx context.Context, path string) error {
	return c.read(ctx, path, &request{op: proto.OpSync, again: true}, &proto.PathRequest{Path: c.real(path)}, nil)
}

// Ephemerals lists the session's own ephemeral nodes below a prefix; "" for all.
func (c *Client) Ephemerals(ctx context.Context, prefix string) ([]string, error) {
	p := c.root + prefix
	if prefix != "" {
		if err := CheckPath(prefix); err != nil {
			return nil, err
		}
		p = c.real(prefix)
	}
	var out proto.StringsResponse
	err := c.do(ctx, &request{op: proto.OpGetEphemerals, again: true}, &proto.PathRequest{Path: p}, &out)
	for i := range out.Strings {
		out.Strings[i] = strip(c.root, out.Strings[i])
	}
	slices.Sort(out.Strings)
	return out.Strings, err
}

// Descendants counts the nodes below path.
func (c *Client) Descendants(ctx context.Context, path string) (int, error) {
	var out proto.IntResponse
	err := c.read(ctx, path, &request{op: proto.OpGetAllChildrenNumber, again: true}, &proto.PathRequest{Path: c.real(path)}, &out)
	return int(out.Value), err
}

// WhoAmI lists the connection's identities.
func (c *Client) WhoAmI(ctx context.Context) ([]proto.ClientInfo, error) {
	var out proto.WhoAmIResponse
	err := c.do(ctx, &request{op: proto.OpWhoAmI, again: true}, nil, &out)
	return out.ClientInfo, err
}

// AddAuth adds an identity to this connection and to those after it. A refusal, proto.ErrAuthFailed, costs the
// connection, and the session comes back without the identity.
func (c *Client) AddAuth(ctx context.Context, scheme string, auth []byte) error {
	p := proto.AuthPacket{Scheme: scheme, Auth: auth}
	r := &request{op: proto.OpAuth, again: true, registers: func(s *session, e proto.ErrCode) {
		if e == proto.OK {
			s.auths = append(s.auths, p)
		}
	}}
	return c.do(ctx, r, &p, nil)
}

// AddWatch sets a persistent watch, of proto.AddWatchPersistent or proto.AddWatchRecursive.
func (c *Client) AddWatch(ctx context.Context, path string, mode int32) error {
	k := persistentWatch
	if mode == proto.AddWatchRecursive {
		k = recursiveWatch
	}
	p := c.real(path)
	r := &request{op: proto.OpAddWatch, again: true, registers: onSuccess(true, k, p)}
	return c.read(ctx, path, r, &proto.AddWatchRequest{Path: p, Mode: mode}, nil)
}

// RemoveWatches takes the session's watches of a type off path; proto.ErrNoWatcher if there is none. With local set they
// are forgotten even if no server can be told.
func (c *Client) RemoveWatches(ctx context.Context, path string, t proto.WatcherType, local bool) error {
	p := c.real(path)
	c.mu.Lock()
	known := c.watches.has(t, p)
	c.mu.Unlock()
	if !known {
		return proto.ErrNoWatcher
	}
	r := &request{op: proto.OpRemoveWatches, registers: func(s *session, e proto.ErrCode) {
		if e == proto.OK {
			s.forget(t, p)
		}
	}}
	err := c.read(ctx, path, r, &proto.PathWatcherType{Path: p, Type: t}, nil)
	var code proto.ErrCode
	if local && err != nil && !errors.As(err, &code) {
		c.mu.Lock()
		c.watches.remove(t, p)
		c.mu.Unlock()
		return nil
	}
	return err
}

// forget drops watches and prepares the events that tell of it; the session is locked.
func (s *session) forget(t proto.WatcherType, path string) {
	for _, e := range s.watches.remove(t, path) {
		s.removed = append(s.removed, Event{Type: e, State: s.state, Path: strip(s.root, path), Zxid: -1})
	}
}

// Config returns the ensemble's configuration (spec 11.1), whatever the chroot.
func (c *Client) Config(ctx context.Context, watch bool) ([]byte, proto.Stat, error) {
	return c.Absolute().Get(ctx, configPath, watch)
}

// Reconfig is a change of the ensemble's configuration: either Members, or Joining and Leaving, "" for none. Version is
// that of the configuration to change, -1 for any.
type Reconfig struct {
	Joining, Leaving, Members string
	Version                   int64
}

// Reconfig changes the ensemble's configuration and returns the new one.
func (c *Client) Reconfig(ctx context.Context, r Reconfig) ([]byte, proto.Stat, error) {
	null := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(s)
	}
	in := &proto.ReconfigRequest{
		JoiningServers: null(r.Joining), LeavingServers: null(r.Leaving), NewMembers: null(r.Members), CurConfigID: r.Version,
	}
	var out proto.GetDataResponse
	err := c.do(ctx, &request{op: proto.OpReconfig}, in, &out)
	return out.Data, out.Stat, err
}

// Join appends a child's name to a path.
func Join(path, name string) string {
	return strings.TrimSuffix(path, "/") + "/" + name
}
