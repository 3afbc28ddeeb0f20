package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/dunlin-io/dunlin/cmd/node/internal/admin"
)

func get(t *testing.T, h http.Handler, path string, v any) (status int) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	if v != nil {
		if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
			t.Fatalf("GET %s: %v in %s", path, err, w.Body)
		}
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("GET %s: Cache-Control %q, want no-store", path, got)
	}
	return w.Code
}

func TestReadinessFollowsTheChecks(t *testing.T) {
	h := admin.NewHealth("n")
	handler := admin.Handler(h, nil)
	for _, step := range []struct {
		do     func()
		status int
		want   admin.Report
	}{
		{func() {}, 503, admin.Report{Node: "n", State: admin.Starting, Reason: "starting"}},
		{func() { h.Observe(errors.New("no Redis")) }, 503, admin.Report{Node: "n", State: admin.Starting, Reason: "no Redis"}},
		{func() { h.Observe(nil) }, 200, admin.Report{Node: "n", State: admin.Ready, Ready: true}},
		{func() { h.Observe(errors.New("gone")) }, 503, admin.Report{Node: "n", State: admin.Unready, Reason: "gone"}},
		{func() { h.Observe(nil) }, 200, admin.Report{Node: "n", State: admin.Ready, Ready: true}},
		{h.Stop, 503, admin.Report{Node: "n", State: admin.Stopping, Reason: "shutting down"}},
		{func() { h.Observe(nil) }, 503, admin.Report{Node: "n", State: admin.Stopping, Reason: "shutting down"}},
	} {
		step.do()
		var got admin.Report
		if status := get(t, handler, "/readyz", &got); status != step.status || got != step.want {
			t.Errorf("/readyz = %d %+v, want %d %+v", status, got, step.status, step.want)
		}
		if status := get(t, handler, "/livez", nil); status != http.StatusOK {
			t.Errorf("/livez = %d while %s, want 200", status, step.want.State)
		}
	}
}

func TestNodesTellsWhoAnswers(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
	}{{nil, 200}, {context.DeadlineExceeded, 504}, {errors.New("no Redis"), 503}} {
		want := admin.Peers{Node: "n", Nodes: []string{"n", "m"}, Missing: 1}
		handler := admin.Handler(admin.NewHealth("n"), func(context.Context) (admin.Peers, error) { return want, test.err })
		if test.err != nil {
			want.Problem = test.err.Error()
		}
		var got admin.Peers
		if status := get(t, handler, "/nodes", &got); status != test.status || !reflect.DeepEqual(got, want) {
			t.Errorf("/nodes = %d %+v, want %d %+v", status, got, test.status, want)
		}
	}
}
