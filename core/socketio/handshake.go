package socketio

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/parser"
)

// Args is an encoded list of arguments, decoded late and immutable:
//
//	Scan(dst ...any) error // decodes arguments, in order; extra ones are ignored
//	Len() int
//	Values() []any         // each argument still encoded, to be passed on
//
// See parser.Args.
type Args = parser.Args

// Handshake is the request that opened a socket's connection, and what the
// client sent to join the namespace.
type Handshake struct {
	engineio.Handshake
	// Auth holds one value, the client's auth payload: Scan it into a struct
	// or map. It is an empty object when the client sent none.
	Auth Args
}

// emptyObject stands for a CONNECT without payload.
var emptyObject = json.RawMessage("{}")

func newHandshake(e *engineio.Handshake, auth parser.Payload) *Handshake {
	raw := auth.JSON
	if raw == nil {
		raw = emptyObject
	}
	h := &Handshake{Handshake: *e}
	if args, err := parser.MakeArgs(json.RawMessage(raw)); err == nil { // the decoder has validated it
		h.Auth = args
	}
	return h
}

// info is the handshake as the JavaScript server describes it to other nodes.
func (h *Handshake) info() cluster.HandshakeInfo {
	in := cluster.HandshakeInfo{
		Headers:   joinHeader(h.Header),
		Time:      h.Time.Format("Mon Jan 02 2006 15:04:05 GMT-0700 (MST)"),
		CrossSite: h.CrossOrigin,
		Secure:    h.Secure,
		Issued:    h.Time.UnixMilli(),
		Query:     make(map[string]string, len(h.Query)),
		Auth:      emptyObject,
	}
	if h.RemoteAddr.IsValid() {
		in.Address = h.RemoteAddr.Addr().Unmap().String()
	}
	if h.URL != nil {
		in.URL = h.URL.RequestURI()
	}
	for k, v := range h.Query {
		if len(v) > 0 {
			in.Query[k] = v[len(v)-1]
		}
	}
	var auth json.RawMessage
	if err := h.Auth.Scan(&auth); err == nil {
		in.Auth = auth
	}
	return in
}

func joinHeader(h http.Header) map[string]string {
	m := make(map[string]string, len(h))
	for k, v := range h {
		m[strings.ToLower(k)] = strings.Join(v, ", ")
	}
	return m
}

// fromInfo is the handshake of another node's socket.
func fromInfo(in *cluster.HandshakeInfo) Handshake {
	h := Handshake{Handshake: engineio.Handshake{
		Header:      make(http.Header, len(in.Headers)),
		Query:       make(map[string][]string, len(in.Query)),
		Time:        time.UnixMilli(in.Issued),
		Secure:      in.Secure,
		CrossOrigin: in.CrossSite,
		URL:         parseURL(in.URL),
		RemoteAddr:  parseAddr(in.Address),
	}}
	for k, v := range in.Headers {
		h.Header.Set(k, v)
	}
	for k, v := range in.Query {
		h.Query.Set(k, v)
	}
	auth := in.Auth
	if len(auth) == 0 {
		auth = emptyObject
	}
	if args, err := parser.MakeArgs(auth); err == nil {
		h.Auth = args
	}
	return h
}

// newID returns 20 URL-safe characters with 120 random bits. JavaScript nodes
// in sharded mode tell the rooms of single sockets by that length.
func newID() string {
	var b [15]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
