package main

import (
	"context"
	"errors"

	"zebu/internal/metrics"
	"zebu/server"
)

// run starts the server and returns when ctx has ended and the server has stopped.
func (l launch) run(ctx context.Context) error {
	met := metrics.New()
	s, err := server.New(server.Options{Config: l.cfg, Log: l.log, Metrics: met})
	if err != nil {
		return &exitError{startCode(err), err}
	}
	l.announce(s.Addr())
	if err := s.Run(ctx); err != nil {
		return &exitError{exitTxnLog, err}
	}
	return nil
}

// startCode is the exit code for a server that could not start.
func startCode(err error) int {
	var portErr *server.PortError
	if errors.As(err, &portErr) {
		return exitPort
	}
	return exitDataDir
}
