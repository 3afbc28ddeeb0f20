package redisadapter

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// recorded returns what was recorded, with the values that JSON cannot say as
// they reach our clients.
func recorded(t *testing.T, v *vector) any {
	t.Helper()
	var x any
	if err := json.Unmarshal(v.Decoded, &x); err != nil {
		t.Fatal(err)
	}
	return plainView(t, x)
}

type absent struct{}

func plainView(t *testing.T, x any) any {
	t.Helper()
	switch x := x.(type) {
	case []any:
		for i := range x {
			if x[i] = plainView(t, x[i]); x[i] == (absent{}) {
				x[i] = nil
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(x)) {
			if strings.HasPrefix(key, "$") {
				return special(t, x, key)
			}
			if x[key] = plainView(t, x[key]); x[key] == (absent{}) {
				delete(x, key)
			}
		}
	}
	return x
}

func special(t *testing.T, x map[string]any, key string) any {
	t.Helper()
	switch key {
	case "$bytes":
		return map[string]any{"$bytes": x[key]}
	case "$date":
		return x[key]
	case "$undefined":
		return absent{}
	case "$number":
		if x[key] == "-0" {
			return 0.0
		}
		return nil
	}
	t.Fatalf("the view's %s is not understood", key)
	return nil
}

// viewOf says in the terms of the recording what was understood.
func viewOf(t *testing.T, m *cluster.Message, v *vector) any {
	t.Helper()
	object := make(map[string]any)
	set := func(key string, value any) {
		if value != "" {
			object[key] = value
		}
	}
	uid := string(m.From)
	if uid == "" && strings.HasPrefix(v.Name, "redis-emitter/") && !strings.Contains(v.Kind, "REMOTE_") {
		uid = emitterUID
	}
	set("uid", uid)
	switch b := m.Body.(type) {
	case cluster.Broadcast:
		if b.RequestID == "" {
			return []any{uid, packetView(t, b.Packet), map[string]any{
				"rooms": roomsView(v, b.Target.Rooms), "except": list(b.Target.Except), "flags": flagsView(&b.Target),
			}}
		}
		set("requestId", b.RequestID)
		object["type"], object["packet"] = 7.0, packetView(t, b.Packet)
		object["opts"] = map[string]any{
			"rooms": list(b.Target.Rooms), "except": list(b.Target.Except), "flags": flagsView(&b.Target),
		}
	case cluster.Join:
		managementView(object, 2, &b.Target, b.Rooms, b.RequestID)
	case cluster.Leave:
		managementView(object, 3, &b.Target, b.Rooms, b.RequestID)
	case cluster.Disconnect:
		object["type"], object["close"], object["opts"] = 4.0, b.Close, optsView(&b.Target)
	case cluster.FetchSockets:
		set("requestId", b.RequestID)
		object["type"], object["opts"] = 5.0, optsView(&b.Target)
		if b.IDsOnly {
			object["type"], object["rooms"] = 0.0, list(b.Target.Rooms)
			delete(object, "opts")
		}
	case cluster.Rooms:
		set("requestId", b.RequestID)
		object["type"] = 1.0
	case cluster.Emit:
		set("requestId", b.RequestID)
		object["type"], object["data"] = 6.0, payloadView(t, b.Payload)
	case cluster.AckCount:
		object["type"], object["requestId"], object["clientCount"] = 8.0, b.RequestID, float64(b.Count)
	case cluster.AckReply:
		object["type"], object["requestId"] = 9.0, b.RequestID
		argView(t, object, "packet", b.Args)
	case cluster.EmitReply:
		object["type"], object["requestId"] = 6.0, b.RequestID
		argView(t, object, "data", b.Args)
	case cluster.SocketsReply:
		object["requestId"], object["sockets"] = b.RequestID, socketsView(t, &b)
	case cluster.RoomsReply:
		object["requestId"], object["rooms"] = b.RequestID, roomsView(v, b.Rooms)
	case cluster.Applied:
		object["requestId"] = b.RequestID
	default:
		t.Fatalf("%T has no view", b)
	}
	return object
}

// managementView shows the requests of old adapters, which name one socket, in
// their own form.
func managementView(object map[string]any, kind float64, target *cluster.Target, rooms []string, requestID string) {
	object["type"] = kind
	if requestID == "" {
		object["opts"], object["rooms"] = optsView(target), list(rooms)
		return
	}
	object["requestId"], object["sid"], object["room"] = requestID, target.Rooms[0], rooms[0]
}

func optsView(t *cluster.Target) any {
	return map[string]any{"rooms": list(t.Rooms), "except": list(t.Except)}
}

func flagsView(t *cluster.Target) any {
	flags := make(map[string]any)
	if t.Volatile {
		flags["volatile"] = true
	}
	if t.Compress != nil {
		flags["compress"] = *t.Compress
	}
	if t.Timeout > 0 {
		flags["timeout"] = float64(t.Timeout.Milliseconds())
	}
	if t.Single {
		flags["expectSingleResponse"] = true
	}
	return flags
}

func packetView(t *testing.T, p *parser.Packet) any {
	t.Helper()
	view := map[string]any{"type": float64(p.Type), "nsp": p.Namespace, "data": payloadView(t, p.Payload)}
	if p.HasID {
		view["id"] = float64(p.ID)
	}
	return view
}

func payloadView(t *testing.T, p parser.Payload) any {
	t.Helper()
	var x any
	if err := p.Scan(&x); err != nil {
		t.Fatalf("scan %s: %v", p.JSON, err)
	}
	return withBytes(x)
}

func withBytes(x any) any {
	switch x := x.(type) {
	case []byte:
		return map[string]any{"$bytes": hex.EncodeToString(x)}
	case []any:
		for i := range x {
			x[i] = withBytes(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = withBytes(x[k])
		}
	}
	return x
}

func argView(t *testing.T, object map[string]any, key string, args parser.Args) {
	t.Helper()
	if args.Len() == 0 {
		return
	}
	first, _ := firstArg(args)
	object[key] = payloadView(t, first)
}

func socketsView(t *testing.T, r *cluster.SocketsReply) any {
	t.Helper()
	view := []any{}
	for _, s := range r.Sockets {
		if r.IDsOnly {
			view = append(view, s.ID)
			continue
		}
		h := s.Handshake
		view = append(view, map[string]any{
			"id": s.ID, "rooms": roomsView(nil, s.Rooms), "data": textView(t, s.Data),
			"handshake": map[string]any{
				"headers": mapView(h.Headers), "time": h.Time, "address": h.Address, "xdomain": h.CrossSite,
				"secure": h.Secure, "issued": float64(h.Issued), "url": h.URL, "query": mapView(h.Query),
				"auth": textView(t, h.Auth),
			},
		})
	}
	return view
}

func textView(t *testing.T, text json.RawMessage) (x any) {
	t.Helper()
	if err := json.Unmarshal(text, &x); err != nil {
		t.Fatal(err)
	}
	return x
}

func mapView(m map[string]string) any {
	view := make(map[string]any, len(m))
	for k, v := range m {
		view[k] = v
	}
	return view
}

func list(texts []string) any {
	view := make([]any, len(texts))
	for i, s := range texts {
		view[i] = s
	}
	return view
}

// roomsView shows room 7 as the number that the recorded server was given.
func roomsView(v *vector, rooms []string) any {
	view := list(rooms).([]any)
	for i, r := range view {
		if r == "7" && (v == nil || differences[v.Name].why == notNumber) {
			view[i] = 7.0
		}
	}
	return view
}
