package server

import (
	"zebu/proto"
	"zebu/replica"
)

// saslState is a connection's SASL exchange.
type saslState struct{}

func (c *conn) saslRequest(req *replica.Request) error {
	c.reply(req, proto.ErrAuthFailed, proto.AppendBuf(nil, nil))
	return errClose
}
