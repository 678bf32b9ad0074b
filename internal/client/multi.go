package client

import (
	"context"

	"zebu/proto"
)

// Op is a part of a transaction: proto.OpCreate makes Path with Data and ACL, proto.OpSetData replaces the data if the node has
// Version, proto.OpDelete removes the node if it has Version.
type Op struct {
	Op      proto.OpCode
	Path    string
	Data    []byte // nil is null
	ACL     []proto.ACL
	Version int32
}

// Multi does operations in one transaction, in their order. The error is the first one's that failed; then none was done.
func (c *Client) Multi(ctx context.Context, ops []Op) error {
	var body []byte
	for _, o := range ops {
		h := proto.MultiHeader{Op: o.Op, Err: -1}
		body = h.Append(body)
		switch o.Op {
		case proto.OpCreate:
			r := proto.CreateRequest{Path: c.root + o.Path, Data: o.Data, ACL: o.ACL}
			body = r.Append(body)
		case proto.OpSetData:
			r := proto.SetDataRequest{Path: c.real(o.Path), Data: o.Data, Version: o.Version}
			body = r.Append(body)
		default:
			r := proto.PathVersion{Path: c.real(o.Path), Version: o.Version}
			body = r.Append(body)
		}
	}
	end := proto.MultiHeader{Op: -1, Done: true, Err: -1}
	reply, _, err := c.send(ctx, &request{op: proto.OpMulti, body: end.Append(body)})
	if err != nil {
		return err
	}
	return multiOutcome(reply)
}
