package redisadapter

import (
	"encoding/hex"
	"testing"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// familyRecorded returns what was recorded, the data of sockets as JSON.
func familyRecorded(t *testing.T, v *vector) any {
	t.Helper()
	x := recorded(t, v)
	if v.Kind == "FETCH_SOCKETS_RESPONSE" || v.Command == "SET" {
		return withoutBytes(t, x)
	}
	return x
}

func withoutBytes(t *testing.T, x any) any {
	t.Helper()
	switch x := x.(type) {
	case []any:
		for i := range x {
			x[i] = withoutBytes(t, x[i])
		}
	case map[string]any:
		if text, ok := x["$bytes"].(string); ok {
			b, err := hex.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			data := make([]any, len(b))
			for i := range b {
				data[i] = float64(b[i])
			}
			return map[string]any{"type": "Buffer", "data": data}
		}
		for key := range x {
			x[key] = withoutBytes(t, x[key])
		}
	}
	return x
}

// familyView says in the terms of the recording what was understood.
func familyView(t *testing.T, m *cluster.Message, v *vector) any {
	t.Helper()
	kind, _, err := (&family{extension: true}).kindOf(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	data := familyData(t, m.Body, v)
	uid := string(m.From)
	if v.Emitter != nil {
		uid = emitterUID
	}
	view := map[string]any{"type": float64(kind), "uid": uid, "nsp": m.Namespace}
	if data != nil {
		view["data"] = data
	}
	if v.Command != "XADD" {
		return view
	}
	for name, want := range map[string]any{"uid": uid, "nsp": m.Namespace} {
		if v.Fields[name] != want {
			t.Errorf("%s = %v, want %q", name, want, v.Fields[name])
		}
	}
	if data == nil {
		return nil
	}
	return data
}

func familyData(t *testing.T, body cluster.Body, v *vector) map[string]any {
	t.Helper()
	data := make(map[string]any)
	target := func(target *cluster.Target) {
		data["opts"] = map[string]any{
			"rooms": roomsView(nil, target.Rooms), "except": list(target.Except), "flags": flagsView(target),
		}
	}
	asked := func(id string) {
		if id != "" {
			data["requestId"] = id
		}
	}
	switch b := body.(type) {
	case cluster.Broadcast:
		target(&b.Target)
		asked(b.RequestID)
		packet, _ := packetView(t, b.Packet).(map[string]any)
		if v.Emitter == nil {
			delete(packet, "nsp") // only an emitter says it
		}
		data["packet"] = packet
	case cluster.Join:
		target(&b.Target)
		data["rooms"] = list(b.Rooms)
	case cluster.Leave:
		target(&b.Target)
		data["rooms"] = list(b.Rooms)
	case cluster.Disconnect:
		target(&b.Target)
		data["close"] = b.Close
	case cluster.FetchSockets:
		target(&b.Target)
		asked(b.RequestID)
	case cluster.SocketsReply:
		asked(b.RequestID)
		data["sockets"] = socketsView(t, &b)
	case cluster.Emit:
		asked(b.RequestID)
		data["packet"] = payloadView(t, b.Payload)
	case cluster.EmitReply:
		asked(b.RequestID)
		argView(t, data, "packet", b.Args)
	case cluster.AckCount:
		asked(b.RequestID)
		data["clientCount"] = float64(b.Count)
	case cluster.AckReply:
		asked(b.RequestID)
		argView(t, data, "packet", b.Args)
	case cluster.Leaving:
		return nil
	default:
		t.Fatalf("%T has no view", b)
	}
	return data
}
