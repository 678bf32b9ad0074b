// Package session holds what servers know of client sessions, as pure values: which sessions are committed ([Table]),
// when they expire and who serves them ([Tracker]), how ids are made ([IDs]) and what password belongs to an id
// ([Password]). Time is told by the caller, from a monotonic clock; nothing here locks, sleeps or reads a clock.
//
// See spec 1.4 to 1.6 and 13.1.
package session
