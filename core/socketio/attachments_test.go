package socketio_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Clients with the default parser close the connection when an event holds more
// than ten binary values, so one such broadcast would cost everybody theirs.
// Proves T-63, J-26.
func TestEmitRefusesMoreBinaryValuesThanClientsAccept(t *testing.T) {
	values := func(n int) []any {
		vs := make([]any, n)
		for i := range vs {
			vs[i] = []byte{byte(i)}
		}
		return vs
	}
	for name, test := range map[string]struct {
		cfg      socketio.Config
		accepted int
	}{
		"default":        {accepted: 10},
		"raised":         {cfg: socketio.Config{Limits: socketio.Limits{Parser: parser.Limits{MaxAttachments: 12}}}, accepted: 12},
		"without limit":  {cfg: socketio.Config{Limits: socketio.Limits{Parser: parser.Limits{MaxAttachments: -1}}}, accepted: 200},
		"msgpack parser": {cfg: socketio.Config{Parser: parser.Msgpack()}, accepted: 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := siotest.NewServer(t, test.cfg)
				c := srv.Dial(siotest.Options{Parser: test.cfg.Parser, Limits: parser.Limits{MaxAttachments: -1}})
				if err := srv.Emit("many", values(test.accepted)...); err != nil {
					t.Errorf("Emit of %d values: %v", test.accepted, err)
				}
				if got := c.Next().Len(); got != test.accepted {
					t.Errorf("%d values arrived, want %d", got, test.accepted)
				}
				if test.accepted == 200 {
					return
				}
				if err := srv.Emit("too many", values(test.accepted+1)...); !errors.Is(err, parser.ErrTooMany) {
					t.Errorf("Emit of %d values = %v, want ErrTooMany", test.accepted+1, err)
				}
				_ = srv.Emit("end")
				c.Expect("end")
			})
		})
	}
}
