package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/dunlin-io/dunlin/cmd/node/internal/admin"
)

const (
	meetInterval = 50 * time.Millisecond
	meetPatience = 10 * time.Second // until a line says who is missing
)

// meet returns when every node has had an answer from every other, through
// Redis, or with ctx's error.
func (c *cluster) meet(ctx context.Context) error {
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	next := time.Now().Add(meetPatience)
	for {
		err := c.acquainted(ctx, client)
		if err == nil {
			return nil
		}
		if time.Now().After(next) {
			next = time.Now().Add(meetPatience)
			c.log.Warn("the nodes do not hear each other yet", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(meetInterval):
		}
	}
}

func (c *cluster) acquainted(ctx context.Context, client *http.Client) error {
	for _, node := range c.nodes {
		peers, err := askPeers(ctx, client, node.adminURL())
		if err != nil {
			return fmt.Errorf("ask %s whom it hears: %w", node.name, err)
		}
		for _, other := range c.nodes {
			if !slices.Contains(peers.Nodes, other.name) {
				return fmt.Errorf("%s does not hear %s (%s)", node.name, other.name, peers.Problem)
			}
		}
	}
	return nil
}

// askPeers asks the node with that private listener.
func askPeers(ctx context.Context, client *http.Client, adminURL string) (peers admin.Peers, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, adminURL+"/nodes", http.NoBody)
	if err != nil {
		return peers, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return peers, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&peers)
	return peers, err
}
