//go:build !unix

package sock

import "net"

// Writer does not exist here: connections write as the net package does.
type Writer struct{}

// NewWriter returns nil.
func NewWriter(net.Conn) *Writer { return nil }

// Try is not called.
func (*Writer) Try([]byte) (int, error) { return 0, net.ErrClosed }
