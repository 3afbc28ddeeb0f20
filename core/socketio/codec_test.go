package socketio_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-77.
func TestServersAndClientsSpeakACodecOfTheirOwn(t *testing.T) {
	for _, transport := range []siotest.Transport{siotest.WebSocket, siotest.Polling} {
		synctest.Test(t, func(t *testing.T) {
			// Three nodes, and each pair of codecs meets in the cluster.
			hub := memory.New()
			var nodes []*siotest.Server
			for _, codec := range []parser.Codec{envelope{}, envelope{}, parser.JSON()} {
				nodes = append(nodes, siotest.NewServer(t, socketio.Config{Adapter: hub, Parser: codec}))
			}
			var clients []*siotest.Client
			for _, srv := range nodes {
				srv.Of("/files").On("put", func(ev *socketio.Event) {
					_ = ev.Socket.To("readers").Emit("put", ev.Values()...)
					_ = ev.Ack(ev.Values()...)
				})
				srv.Of("/files").OnConnect(func(s *socketio.Socket) { s.Join("readers") })
				c := srv.Dial(siotest.Options{Transport: transport}).Join("/files", map[string]string{"token": "t"})
				answer(c, "ask", []byte{9})
				clients = append(clients, c)
			}
			synctest.Wait()
			if auth := scan[map[string]string](t, clientSocket(t, nodes[0], clients[0]).Handshake().Auth); auth["token"] != "t" {
				t.Errorf("auth payload %v", auth)
			}
			for i, c := range clients {
				c.EmitWithAck("put", i, []byte{1, 2, 3}, "ü", []byte{}).Expect(i, []byte{1, 2, 3}, "ü", []byte{})
				for j, other := range clients {
					if j != i {
						other.Expect("put", i, []byte{1, 2, 3}, "ü", []byte{})
					}
				}
			}
			replies, err := nodes[1].Of("/files").EmitWithAck(t.Context(), "ask")
			if len(replies) != 3 || err != nil {
				t.Errorf("%d replies, %v", len(replies), err)
			}
			for _, r := range replies {
				if got := scan[[]byte](t, r); string(got) != "\t" {
					t.Errorf("reply %v", got)
				}
			}
			clientSocket(t, nodes[0], clients[0]).Disconnect()
			clients[0].ExpectDisconnect("io server disconnect")
			nodes[0].Dial(siotest.Options{Transport: transport}).Try("/nowhere").ExpectConnectError("Invalid namespace")
		})
	}
}

func clientSocket(t *testing.T, srv *siotest.Server, c *siotest.Client) *socketio.Socket {
	t.Helper()
	s, ok := srv.Of("/files").Socket(c.ID())
	if !ok {
		t.Fatal("the server does not know the client")
	}
	return s
}

// careless is a codec that believes its peers, and does not survive some.
type careless struct{ parser.Codec }

func (c careless) Encode(p *parser.Packet) ([]parser.Frame, error) {
	if name, _, err := p.Payload.Event(); err == nil && name == "panic" {
		panic("on purpose")
	}
	return c.Codec.Encode(p)
}

func (c careless) NewDecoder(l parser.Limits) parser.Decoder {
	return carelessDecoder{c.Codec.NewDecoder(l)}
}

type carelessDecoder struct{ parser.Decoder }

func (d carelessDecoder) Decode(f parser.Frame) (parser.Packet, bool, error) {
	switch text := string(f.Data); {
	case text == "panic":
		panic("on purpose")
	case text[0] == '!':
		return parser.Packet{Type: parser.Event, Namespace: "/", Payload: parser.Payload{JSON: []byte(text[1:])}}, true, nil
	}
	return d.Decoder.Decode(f)
}

func TestFaultsOfACodecEndOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var panics atomic.Int32
		srv := siotest.NewServer(t, socketio.Config{
			Parser: careless{parser.JSON()}, Logger: quiet(),
			Hooks: socketio.Hooks{OnPanic: func(s *socketio.Socket, what string, err *socketio.PanicError) {
				if s != nil || what != "encode" && what != "decode" || err.Value != "on purpose" || len(err.Stack) == 0 {
					t.Errorf("OnPanic(%v, %q, %v)", s, what, err)
				}
				panics.Add(1)
			}},
		})
		srv.OnAnyIncoming(func(ev *socketio.Event) { t.Errorf("event %q of a broken packet", ev.Name) })
		witness := srv.Dial(siotest.Options{Parser: parser.JSON()})
		broken := []string{"panic", `!["x",`, `!{}`, `![]`, "!", `!["connect"]`, `! ["x"]`}
		for _, text := range broken {
			c := srv.Open(siotest.Options{Parser: parser.JSON()})
			c.Send("0")
			c.Next()
			c.Send(text)
			c.ExpectEnd("transport close")
		}
		if n := srv.Stats().Undecodable; n != uint64(len(broken)) {
			t.Errorf("Undecodable = %d, want %d", n, len(broken))
		}
		s := socketOf(t, srv, witness)
		if err := s.Emit("panic"); err == nil || errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("Emit of what the codec cannot encode = %v", err)
		}
		if err := srv.Emit("panic"); err != nil { // has no one error for all
			t.Errorf("broadcast = %v", err)
		}
		emit(t, s.Emit("fine"))
		witness.Expect("fine")
		if n := panics.Load(); n != 3 {
			t.Errorf("OnPanic was called %d times, want 3", n)
		}
	})
}
