// Package watch is the registry of watches: which connections want to hear of changes to which paths (spec 4). It is a
// pure data structure: the caller serialises access, delivers the events and filters them by ACL.
//
// A server may hold millions of watches, so the registry keeps them in a few large slices without pointers, which cost
// the garbage collector nothing.
package watch
