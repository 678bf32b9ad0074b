//go:build !unix

package main

import (
	"context"

	"go.uber.org/zap"
)

// toggleDebug waits for ctx: there is no signal to listen to.
func toggleDebug(ctx context.Context, _ zap.AtomicLevel, _ *zap.Logger) { <-ctx.Done() }
