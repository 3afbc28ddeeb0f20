package dev

import (
	"log/slog"
	"net/http"
)

// NewDoor returns a front door for nodes with these names and hosts.
func NewDoor(path string, nodes [][2]string) http.Handler {
	backends := make([]backend, len(nodes))
	for i, n := range nodes {
		backends[i] = backend{n[0], n[1]}
	}
	return newDoor(path, backends, slog.New(slog.DiscardHandler))
}
