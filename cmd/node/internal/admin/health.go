// Package admin answers those who run a node: is it alive, may it take
// clients, whom does it hear.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// State is what a node is doing.
type State string

// The states of a node, in the usual order. Only a Ready node should get
// clients from a load balancer.
const (
	Starting State = "starting" // it has not yet heard the other nodes
	Ready    State = "ready"
	Unready  State = "unready"  // it does not hear the other nodes any more
	Stopping State = "stopping" // it is shutting down; final
)

// Report is the body of /readyz.
type Report struct {
	Ready  bool   `json:"ready"`
	Node   string `json:"node"`
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // why it is not ready, and how to mend it
}

// Health is the state of one node. Its methods may be called from any
// goroutine.
type Health struct {
	node   string
	report atomic.Pointer[Report]
}

// NewHealth returns the health of a node that is starting.
func NewHealth(node string) *Health {
	h := &Health{node: node}
	h.report.Store(&Report{Node: node, State: Starting, Reason: "starting"})
	return h
}

// Report returns the present state.
func (h *Health) Report() Report { return *h.report.Load() }

// Observe notes the outcome of a check: nil is Ready. A node that is Stopping
// stays so.
func (h *Health) Observe(problem error) {
	for {
		old := h.report.Load()
		next := &Report{Node: h.node, Ready: true, State: Ready}
		if problem != nil {
			next = &Report{Node: h.node, State: Unready, Reason: problem.Error()}
			if old.State == Starting {
				next.State = Starting
			}
		}
		if old.State == Stopping || h.report.CompareAndSwap(old, next) {
			return
		}
	}
}

// Stop makes the state Stopping.
func (h *Health) Stop() {
	h.report.Store(&Report{Node: h.node, State: Stopping, Reason: "shutting down"})
}

// Peers is the body of /nodes: who answered a question to all nodes.
type Peers struct {
	Node    string   `json:"node"`
	Nodes   []string `json:"nodes"`             // names of those that answered, and this one's
	Missing int      `json:"missing,omitempty"` // how many did not
	Problem string   `json:"problem,omitempty"`
}

// askTimeout bounds the waiting for other nodes in /nodes.
const askTimeout = 2 * time.Second

// Live answers /livez: the process runs.
func Live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// ServeHTTP answers /readyz: status 200 with a Report when the node may be
// given clients, else 503.
func (h *Health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	report := h.Report()
	status := http.StatusOK
	if !report.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, report)
}

// Handler serves the private listener. ask asks all nodes for their names.
func Handler(h *Health, ask func(context.Context) (Peers, error)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", Live)
	mux.Handle("GET /readyz", h)
	mux.HandleFunc("GET /nodes", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
		defer cancel()
		peers, err := ask(ctx)
		status := http.StatusOK
		if err != nil {
			peers.Problem = err.Error()
			status = http.StatusServiceUnavailable
			if errors.Is(err, context.DeadlineExceeded) {
				status = http.StatusGatewayTimeout
			}
		}
		writeJSON(w, status, peers)
	})
	return mux
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // not of these structs
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
