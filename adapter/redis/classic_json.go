package redisadapter

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// looseText is a string, or a number in its place: JavaScript does not keep
// rooms from being numbers.
type looseText string

func (t *looseText) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		err := json.Unmarshal(b, &s)
		*t = looseText(s)
		return err
	}
	var f float64
	if string(b) == "null" {
		return fmt.Errorf("%w: null for a name", errMalformed)
	}
	err := json.Unmarshal(b, &f)
	*t = looseText(numberText(f))
	return err
}

func plain(list []looseText) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = string(t)
	}
	return out
}

// jsonOpts are a target's fields; flags travel only with broadcasts.
type jsonOpts struct {
	Rooms  *[]looseText `json:"rooms"`
	Except *[]looseText `json:"except"`
	Flags  struct {
		Volatile bool    `json:"volatile"`
		Compress *bool   `json:"compress"`
		Timeout  float64 `json:"timeout"`
		Single   bool    `json:"expectSingleResponse"`
	} `json:"flags"`
}

func (o *jsonOpts) target() (cluster.Target, error) {
	if o.Rooms == nil || o.Except == nil {
		return cluster.Target{}, fmt.Errorf("%w: opts without rooms or except", errMalformed)
	}
	if n := max(len(*o.Rooms), len(*o.Except)); n > maxRooms {
		return cluster.Target{}, fmt.Errorf("%w: %d rooms", errMalformed, n)
	}
	return cluster.Target{
		Rooms: plain(*o.Rooms), Except: plain(*o.Except),
		Volatile: o.Flags.Volatile, Compress: o.Flags.Compress,
		Timeout: milliseconds(o.Flags.Timeout), Single: o.Flags.Single,
	}, nil
}

type jsonPacket struct {
	Type      *int            `json:"type"`
	Data      json.RawMessage `json:"data"`
	ID        *float64        `json:"id"`
	Namespace *string         `json:"nsp"`
}

func (p *jsonPacket) decode(c *codec) (*parser.Packet, error) {
	ns := "/"
	if p.Namespace != nil {
		ns = *p.Namespace
	}
	if ns != c.namespace {
		return nil, fmt.Errorf("%w %q", errOtherNamespace, ns)
	}
	if p.Type == nil || *p.Type != int(parser.Event) {
		return nil, fmt.Errorf("%w: not an event", errMalformed)
	}
	payload, err := eventPayload(p.Data, c.limits)
	if err != nil {
		return nil, err
	}
	if p.ID == nil {
		return eventPacket(c.namespace, payload, 0, false)
	}
	return eventPacket(c.namespace, payload, *p.ID, true)
}

func (c *codec) jsonBroadcast(s string) (cluster.Message, error) {
	var uid looseText
	var packet jsonPacket
	var opts jsonOpts
	var parts []json.RawMessage
	err := json.Unmarshal([]byte(s), &parts)
	if err == nil && len(parts) < 3 {
		err = fmt.Errorf("array of %d", len(parts))
	}
	for i, dst := range []any{&uid, &packet, &opts} {
		if err == nil {
			err = json.Unmarshal(parts[i], dst)
		}
	}
	if err != nil {
		return cluster.Message{}, fmt.Errorf("%w: broadcast in JSON: %w", errMalformed, err)
	}
	t, err := opts.target()
	if err != nil {
		return cluster.Message{}, err
	}
	p, err := packet.decode(c)
	if err != nil {
		return cluster.Message{}, err
	}
	return cluster.Message{
		From: nodeOf(string(uid)), Namespace: c.namespace,
		Body: cluster.Broadcast{Target: t, Packet: p},
	}, nil
}

// jsonSocket is a socket in an answer.
type jsonSocket struct {
	ID        string          `json:"id"`
	Handshake jsonHandshake   `json:"handshake"`
	Rooms     []looseText     `json:"rooms"`
	Data      json.RawMessage `json:"data"`
}

type jsonHandshake struct {
	Headers map[string]joinedText `json:"headers"`
	Time    string                `json:"time"`
	Address string                `json:"address"`
	XDomain bool                  `json:"xdomain"`
	Secure  bool                  `json:"secure"`
	Issued  float64               `json:"issued"`
	URL     string                `json:"url"`
	Query   map[string]joinedText `json:"query"`
	Auth    json.RawMessage       `json:"auth"`
}

// joinedText is a header or query parameter, of which JavaScript servers make
// an array where there are several.
type joinedText string

func (t *joinedText) UnmarshalJSON(b []byte) error {
	var list []looseText
	if len(b) > 0 && b[0] == '[' {
		err := json.Unmarshal(b, &list)
		*t = joinedText(strings.Join(plain(list), ", "))
		return err
	}
	if len(b) > 0 && (b[0] == '{' || b[0] == 't' || b[0] == 'f' || b[0] == 'n') {
		*t = joinedText(b) // an application put something else there
		return nil
	}
	var one looseText
	err := one.UnmarshalJSON(b)
	*t = joinedText(one)
	return err
}

func plainMap(m map[string]joinedText) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = string(v)
	}
	return out
}

// info reads a socket: an object, or in answers to old requests its id alone.
func info(b json.RawMessage) (s cluster.SocketInfo, idOnly bool, err error) {
	if len(b) > 0 && b[0] == '"' {
		err = json.Unmarshal(b, &s.ID)
		return s, true, err
	}
	var j jsonSocket
	if err := json.Unmarshal(b, &j); err != nil {
		return s, false, err
	}
	if j.ID == "" {
		return s, false, fmt.Errorf("%w: socket without id", errMalformed)
	}
	h := &j.Handshake
	return cluster.SocketInfo{
		ID: j.ID, Rooms: plain(j.Rooms), Data: j.Data,
		Handshake: cluster.HandshakeInfo{
			Headers: plainMap(h.Headers), Time: h.Time, Address: h.Address, CrossSite: h.XDomain, Secure: h.Secure,
			Issued: int64(h.Issued), URL: h.URL, Query: plainMap(h.Query), Auth: h.Auth,
		},
	}, false, nil
}

func appendInfo(dst []byte, s *cluster.SocketInfo) []byte {
	h := &s.Handshake
	dst = appendJSONString(append(dst, `{"id":`...), s.ID)
	dst = appendJSONMap(append(dst, `,"handshake":{"headers":`...), h.Headers)
	dst = appendJSONString(append(dst, `,"time":`...), h.Time)
	dst = appendJSONString(append(dst, `,"address":`...), h.Address)
	dst = strconv.AppendBool(append(dst, `,"xdomain":`...), h.CrossSite)
	dst = strconv.AppendBool(append(dst, `,"secure":`...), h.Secure)
	dst = strconv.AppendInt(append(dst, `,"issued":`...), h.Issued, 10)
	dst = appendJSONString(append(dst, `,"url":`...), h.URL)
	dst = appendJSONMap(append(dst, `,"query":`...), h.Query)
	dst = appendJSONValue(append(dst, `,"auth":`...), h.Auth)
	dst = appendJSONTexts(append(dst, `},"rooms":`...), s.Rooms)
	dst = appendJSONValue(append(dst, `,"data":`...), s.Data)
	return append(dst, '}')
}
