// Package sock writes to sockets without waiting, which the net package does not do: who has other things to do than to wait for a slow peer
// writes what goes at once, and has a goroutine of the connection's write the rest.
package sock
