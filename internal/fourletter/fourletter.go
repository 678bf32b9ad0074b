// Package fourletter is a client of ZooKeeper's four-letter words (spec 12.2): it asks a server, Apache's or zebu, one
// word and reads the answers that tell of its state.
package fourletter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"zebu/status"
)

// maxAnswer bounds an answer in bytes. The longest that this package reads, mntr of a leader, has some 30 KB.
const maxAnswer = 1 << 20

// Errors of [Ask], for what a server answers in place of a report.
var (
	// ErrNotServing comes from a server that is up and has no part in a quorum: it elects a leader or joins one.
	ErrNotServing = errors.New("not serving requests")
	// ErrNotAllowed comes from a server whose 4lw.commands.whitelist does not name the word.
	ErrNotAllowed = errors.New("not in the server's 4lw.commands.whitelist")
	// ErrNoAnswer is a connection that was closed without a byte: by a limit on connections, or by no ZooKeeper at all.
	ErrNoAnswer = errors.New("closed the connection without an answer")
)

// Ask sends word to the server at addr, host and port, and returns the whole answer. The context's end ends the wait.
func Ask(ctx context.Context, addr, word string) (string, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	answer, err := exchange(c, word)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err() // the cause, where err only says that the connection is closed
	case err != nil:
		return "", fmt.Errorf("%s: %w", word, err)
	}
	return answer, refusal(word, answer)
}

func exchange(c net.Conn, word string) (string, error) {
	if _, err := io.WriteString(c, word); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(c, maxAnswer+1))
	if err != nil {
		return "", err
	}
	if len(answer) > maxAnswer {
		return "", fmt.Errorf("answer of more than %d bytes", maxAnswer)
	}
	return string(answer), nil
}

// refusal is the error that an answer stands for, nil for a report.
func refusal(word, answer string) error {
	switch strings.TrimSpace(answer) {
	case "":
		return ErrNoAnswer
	case status.ErrNotServing:
		return ErrNotServing
	case word + " is not executed because it is not in the whitelist.":
		return ErrNotAllowed
	}
	return nil
}
