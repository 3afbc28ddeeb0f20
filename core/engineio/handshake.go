package engineio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Handshake describes the request that opened a session.
type Handshake struct {
	Header      http.Header // with Host
	Query       url.Values
	URL         *url.URL // path and query
	RemoteAddr  netip.AddrPort
	Time        time.Time
	Secure      bool // over TLS, to this server
	CrossOrigin bool // from a page of another host
}

// handshakeRecord is a Handshake in two allocations: a session keeps it for life, and few ask for it.
type handshakeRecord struct {
	// text is the URL, then name and value of each header, each ended by a line feed, which none of them can hold.
	text   string
	remote netip.AddrPort
	time   time.Time
	flags  handshakeFlags
}

type handshakeFlags uint8

const (
	flagSecure handshakeFlags = 1 << iota
	flagCrossOrigin
)

func recordHandshake(r *http.Request) handshakeRecord {
	var b strings.Builder
	line := func(s string) {
		b.WriteString(s)
		b.WriteByte('\n')
	}
	line(r.URL.RequestURI())
	line("Host")
	line(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			line(name)
			line(v)
		}
	}
	rec := handshakeRecord{text: strings.Clone(b.String()), time: time.Now()}
	rec.remote, _ = netip.ParseAddrPort(r.RemoteAddr)
	if r.TLS != nil {
		rec.flags |= flagSecure
	}
	if origin := r.Header.Get("Origin"); origin != "" && !sameHost(origin, r.Host) {
		rec.flags |= flagCrossOrigin
	}
	return rec
}

func (rec handshakeRecord) decode() *Handshake {
	h := &Handshake{
		Header: make(http.Header), RemoteAddr: rec.remote, Time: rec.time,
		Secure: rec.flags&flagSecure != 0, CrossOrigin: rec.flags&flagCrossOrigin != 0,
	}
	uri, rest, _ := strings.Cut(rec.text, "\n")
	h.URL, _ = url.ParseRequestURI(uri)
	if h.URL == nil {
		h.URL = &url.URL{Path: uri}
	}
	h.Query = h.URL.Query()
	for rest != "" {
		var name, value string
		name, rest, _ = strings.Cut(rest, "\n")
		value, rest, _ = strings.Cut(rest, "\n")
		h.Header[name] = append(h.Header[name], value)
	}
	return h
}

// openPacket tells the client the terms. See engine.io-protocol v4, "Handshake".
func (c *Config) openPacket(id, transport string) *Batch {
	upgrades := []string{}
	if transport == transportPolling && !c.DisableUpgrades && slices.Contains(c.Transports, transportWebSocket) {
		upgrades = append(upgrades, transportWebSocket)
	}
	data, _ := json.Marshal(struct { // of strings and numbers: cannot fail
		ID           string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int      `json:"maxPayload"`
	}{id, upgrades, c.PingInterval.Milliseconds(), c.PingTimeout.Milliseconds(), c.MaxPayload})
	return newPacket(packetOpen, string(data))
}

// admit does what every transport's new session has to pass.
func (srv *Server) admit(r *http.Request) (*Session, *Error) {
	if err := srv.cfg.checkHeaderSize(r); err != nil {
		return nil, err
	}
	s := &Session{srv: srv, shake: recordHandshake(r)}
	if srv.cfg.Admit != nil {
		ctx, err := srv.cfg.Admit(r)
		if err != nil {
			refused := refuse(CodeForbidden, "")
			refused.Message, refused.Err = err.Error(), err
			return nil, refused
		}
		if ctx != nil {
			s.values = context.WithoutCancel(ctx)
		}
	}
	if srv.cfg.NewID == nil {
		return s, srv.register(s, newID())
	}
	id, err := srv.cfg.NewID(r)
	if err != nil {
		refused := refuse(CodeBadRequest, "ID_GENERATION_ERROR")
		refused.Err = err
		return nil, refused
	}
	if !validID(id) {
		return nil, refuse(CodeBadRequest, "ID_GENERATION_ERROR: NewID returned an id that is not 1 to 128 URL-safe characters")
	}
	return s, srv.register(s, id)
}

func (c *Config) checkHeaderSize(r *http.Request) *Error {
	size := len(r.RequestURI)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	if size > c.MaxHeaderBytes {
		return refuseStatus(http.StatusRequestHeaderFieldsTooLarge, "header exceeds MaxHeaderBytes")
	}
	return nil
}

// newID returns 20 characters that hold 120 random bits.
func newID() string {
	var b [15]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func validID(id string) bool {
	if len(id) < 1 || len(id) > 128 {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
		default:
			return false
		}
	}
	return true
}
