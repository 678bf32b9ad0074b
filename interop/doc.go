// Package interop holds zebu against Apache ZooKeeper: the same scenarios through the Java, C, Python and Go clients
// and through raw frames, data directories passed back and forth, and crashes under load. It has only tests. They need
// the peers that .ci/run installs; what is missing is left out with a notice, or is a failure if CI is set.
package interop
