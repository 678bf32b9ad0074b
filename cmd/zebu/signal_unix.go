//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
)

// toggleDebug switches the level to debug and back at every SIGUSR1 until ctx ends.
func toggleDebug(ctx context.Context, level zap.AtomicLevel, log *zap.Logger) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	defer signal.Stop(signals)
	usual := level.Level()
	if usual == zap.DebugLevel {
		usual = zap.InfoLevel
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		}
		if level.Level() == zap.DebugLevel {
			level.SetLevel(usual)
		} else {
			level.SetLevel(zap.DebugLevel)
		}
		log.Info("log level changed", zap.Stringer("level", level))
	}
}
