package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

func TestRefusedOriginsAreLoggedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		f := &refusals{log: slog.New(slog.NewTextHandler(&log, nil))}
		refuse := func(origin string, code engineio.Code) {
			r := &http.Request{Header: http.Header{}}
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			f.tell(r, &engineio.Error{Code: code})
		}
		refuse("https://a.example", engineio.CodeBadRequest)
		refuse("", engineio.CodeForbidden)
		if log.Len() > 0 {
			t.Errorf("logged what is no refusal of an origin: %s", &log)
		}
		for i := range 5 {
			refuse(fmt.Sprintf("https://%d.example", i), engineio.CodeForbidden)
		}
		time.Sleep(refusalSilence)
		refuse("https://"+strings.Repeat("x", 1000), engineio.CodeForbidden)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 {
			t.Fatalf("%d lines, want one for the first and one after the silence: %s", len(lines), &log)
		}
		for _, want := range []string{"level=WARN", "--origins", "https://0.example", "unlogged=0"} {
			if !strings.Contains(lines[0], want) {
				t.Errorf("the first line is %s, want %q in it", lines[0], want)
			}
		}
		if !strings.Contains(lines[1], "unlogged=4") || len(lines[1]) > 500 {
			t.Errorf("the second line is %s, want 4 unlogged ones and a short origin", lines[1])
		}
	})
}
