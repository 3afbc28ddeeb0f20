package config

import (
	"io"
	"log/slog"
)

// Logger returns the log that the options ask for; it names the node.
func (s *Serve) Logger(w io.Writer) *slog.Logger {
	return newLogger(w, s.LogFormat, s.LogLevel).With("node", s.NodeName)
}

// Logger returns the log that the options ask for.
func (d *Dev) Logger(w io.Writer) *slog.Logger { return newLogger(w, d.LogFormat, d.LogLevel) }

func newLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
