//go:build !linux

package server

// stepBack does nothing where threads have no priority of their own.
func stepBack() {}
