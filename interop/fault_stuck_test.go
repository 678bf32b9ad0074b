//go:build faults

package interop

import "testing"

// TestFaultPartitionProxy is TestFaultPartition through proxies: connections are stuck rather than broken, and what was held
// up arrives late. It is run by hand (go test -tags faults): a server that is asked to connect on the election port uses the address
// that it is told, which is the other's own and leads past the proxies. Elections go on then while all else is held up, for ever.
func TestFaultPartitionProxy(t *testing.T) {
	t.Parallel()
	partitionTest(t, newProxyNet(t, 3))
}
