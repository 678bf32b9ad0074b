//go:build faults

package interop

import "testing"

// TestFaultPartitionProxy is TestFaultPartition through proxies: connections are stuck rather than broken, and what was held
// up arrives late. It is run by hand (go test -tags faults): now and then the proxies let elections through while they hold up the
// rest, which nothing survives.
func TestFaultPartitionProxy(t *testing.T) {
	t.Parallel()
	partitionTest(t, newProxyNet(t, 3))
}
