package server

import (
	"context"
	"fmt"
	"net"

	"zebu/conf"
)

// listen opens the client port. The address 0.0.0.0 means IPv6 too, as it does to Java on machines that have it.
func listen(ctx context.Context, c conf.Client) (net.Listener, error) {
	addr := c.Addr
	if addr.Host == "0.0.0.0" {
		addr.Host = ""
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr.String())
	if err != nil {
		return nil, &PortError{fmt.Errorf("client port: %w", err)}
	}
	if c.Backlog > 0 {
		err = setBacklog(ln, c.Backlog)
	}
	if err != nil {
		ln.Close()
		return nil, &PortError{fmt.Errorf("client port: %w", err)}
	}
	return ln, nil
}
