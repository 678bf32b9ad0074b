package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logFlags are the flags of the server's own log.
type logFlags struct{ format, level string }

func (f *logFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.format, "log-format", "console", "log lines for people or machines: console or json")
	cmd.Flags().StringVar(&f.level, "log-level", "info", "least level to log: debug, info, warn or error; SIGUSR1 switches debug on and off")
}

// open makes the logger, to standard error, and the level that can be changed while it runs.
func (f *logFlags) open() (*zap.Logger, zap.AtomicLevel, error) {
	level, err := zap.ParseAtomicLevel(f.level)
	if err != nil {
		return nil, level, &exitError{exitInvalid, fmt.Errorf("--log-level %s: expected debug, info, warn or error", f.level)}
	}
	var encoder zapcore.Encoder
	switch f.format {
	case "console":
		c := zap.NewDevelopmentEncoderConfig()
		c.EncodeTime = zapcore.TimeEncoderOfLayout("2006-01-02 15:04:05.000")
		c.CallerKey = ""
		encoder = zapcore.NewConsoleEncoder(c)
	case "json":
		c := zap.NewProductionEncoderConfig()
		c.TimeKey, c.EncodeTime = "time", zapcore.RFC3339NanoTimeEncoder
		encoder = zapcore.NewJSONEncoder(c)
	default:
		return nil, level, &exitError{exitInvalid, fmt.Errorf("--log-format %s: expected console or json", f.format)}
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), level)), level, nil
}
