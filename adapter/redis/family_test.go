package redisadapter

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

func eventOf(tb testing.TB, args ...any) *parser.Packet {
	tb.Helper()
	event, err := parser.MakeEvent("hello", args...)
	if err != nil {
		tb.Fatal(err)
	}
	return &parser.Packet{Type: parser.Event, Namespace: "/", Payload: event.EventPayload()}
}

func argsOfValues(tb testing.TB, values ...any) parser.Args {
	tb.Helper()
	args, err := parser.MakeArgs(values...)
	if err != nil {
		tb.Fatal(err)
	}
	return args
}

// said are messages of every kind, and how they are written without the
// extension.
func said(tb testing.TB) map[string]cluster.Body {
	tb.Helper()
	yes := true
	target := cluster.Target{
		Rooms: []string{"a", "комната"}, Except: []string{""},
		Volatile: true, Compress: &yes, Timeout: 5 * time.Second, Single: true,
	}
	socket := cluster.SocketInfo{ID: "s", Rooms: []string{"s"}, Data: json.RawMessage(`{"n":1}`)}
	return map[string]cluster.Body{
		"broadcast":        cluster.Broadcast{Target: target, Packet: eventOf(tb, 1, "x")},
		"binary broadcast": cluster.Broadcast{Packet: eventOf(tb, []byte{1, 2})},
		"with id":          cluster.Broadcast{Packet: &parser.Packet{Type: parser.Event, HasID: true, ID: 7, Payload: eventOf(tb).Payload}},
		"with acks":        cluster.Broadcast{Target: target, Packet: eventOf(tb), RequestID: "r"},
		"join":             cluster.Join{Target: target, Rooms: []string{"b"}},
		"leave":            cluster.Leave{Target: target, Rooms: []string{"b"}},
		"disconnect":       cluster.Disconnect{Target: target, Close: true},
		"fetch":            cluster.FetchSockets{Target: target, RequestID: "r"},
		"sockets":          cluster.SocketsReply{RequestID: "r", Sockets: []cluster.SocketInfo{socket}},
		"no sockets":       cluster.SocketsReply{RequestID: "r"},
		"event":            cluster.Emit{Payload: eventOf(tb, 1).Payload},
		"asking event":     cluster.Emit{Payload: eventOf(tb, []byte{3}).Payload, RequestID: "r"},
		"answer":           cluster.EmitReply{RequestID: "r", Args: argsOfValues(tb, "v")},
		"no answer":        cluster.EmitReply{RequestID: "r"},
		"count":            cluster.AckCount{RequestID: "r", Count: 3},
		"ack":              cluster.AckReply{RequestID: "r", Args: argsOfValues(tb, map[string]int{"a": 1})},
		"binary ack":       cluster.AckReply{RequestID: "r", Args: argsOfValues(tb, []byte{1})},
	}
}

// written is a message in each form, as text that another node reads.
func (f *family) forms(tb testing.TB, m *cluster.Message) map[string][]byte {
	tb.Helper()
	forms := make(map[string][]byte)
	for name, write := range map[string]func([]byte, *cluster.Message) ([]byte, error){
		"sharded": f.appendSharded, "MessagePack": f.appendMsgpack,
	} {
		text, err := write([]byte("before"), m)
		if err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		if !bytes.HasPrefix(text, []byte("before")) {
			tb.Fatalf("%s: appends to nothing: %q", name, text)
		}
		forms[name] = text[len("before"):]
	}
	return forms
}

func other(f *family) *family {
	o := *f
	o.self = "1437b1cfd6052bbf"
	return &o
}

func show(m *cluster.Message) string {
	text := fmt.Sprintf("%s %d %q %q %T %+v", m.From, m.Seq, m.ReplyTo, m.Namespace, m.Body, m.Body)
	switch b := m.Body.(type) {
	case cluster.Broadcast:
		compress := "default"
		if b.Target.Compress != nil {
			compress, b.Target.Compress = fmt.Sprint(*b.Target.Compress), nil
		}
		p := b.Packet
		text = fmt.Sprintf("%s %d %+v %s %q %s %x %v %d", m.From, m.Seq, b.Target, compress, b.RequestID,
			p.Payload.JSON, p.Payload.Attachments, p.HasID, p.ID)
	case cluster.Emit:
		text = fmt.Sprintf("%s %d %q %s %x", m.From, m.Seq, b.RequestID, b.Payload.JSON, b.Payload.Attachments)
	case cluster.AckReply:
		p := b.Args.Payload()
		text = fmt.Sprintf("%s %d %q %q %v %s %x", m.From, m.Seq, b.RequestID, b.SocketID, b.Gone, p.JSON, p.Attachments)
	case cluster.EmitReply:
		p := b.Args.Payload()
		text = fmt.Sprintf("%s %d %q %s %x", m.From, m.Seq, b.RequestID, p.JSON, p.Attachments)
	case cluster.Join:
		text = fmt.Sprintf("%s %d %q %q %q", m.From, m.Seq, b.Target.Rooms, b.Target.Except, b.Rooms)
	case cluster.Leave:
		text = fmt.Sprintf("%s %d %q %q %q", m.From, m.Seq, b.Target.Rooms, b.Target.Except, b.Rooms)
	case cluster.Disconnect:
		text = fmt.Sprintf("%s %d %q %q %v", m.From, m.Seq, b.Target.Rooms, b.Target.Except, b.Close)
	case cluster.FetchSockets:
		text = fmt.Sprintf("%s %d %q %q %q", m.From, m.Seq, b.Target.Rooms, b.Target.Except, b.RequestID)
	case cluster.SocketsReply:
		text = fmt.Sprintf("%s %d %q", m.From, m.Seq, b.RequestID)
		for _, s := range b.Sockets {
			text += fmt.Sprintf(" %s %q %s", s.ID, s.Rooms, appendJSONValue(nil, s.Data))
		}
	case cluster.Rooms, cluster.RoomsReply, cluster.AckCount, cluster.Applied, cluster.Leaving, cluster.Again,
		cluster.Repeated, cluster.Said, cluster.Where:
	}
	return text
}

func TestFamilyMessagesComeBackAsTheyWere(t *testing.T) {
	f := testFamily(t)
	bodies := said(t)
	bodies["leaving"] = cluster.Leaving{}
	bodies["all rooms"] = cluster.Rooms{RequestID: "r"}
	bodies["room names"] = cluster.RoomsReply{RequestID: "r", Rooms: []string{"a", "b"}}
	bodies["all of an ack"] = cluster.AckReply{RequestID: "r", SocketID: "s", Args: argsOfValues(t, 1, []byte{2}, "three")}
	bodies["nothing of an ack"] = cluster.AckReply{RequestID: "r", SocketID: "s"}
	bodies["gone"] = cluster.AckReply{RequestID: "r", SocketID: "s", Gone: true}
	bodies["all of an answer"] = cluster.EmitReply{RequestID: "r", Args: argsOfValues(t, nil, []byte{2}, []byte{3})}
	for name, body := range bodies {
		m := cluster.Message{From: f.self, Seq: 9, ReplyTo: "x1437b1cfd6052bbf", Namespace: "/", Body: body}
		for form, payload := range f.forms(t, &m) {
			got, err := other(f).decode(string(payload))
			if err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
				continue
			}
			if uid, extended := asker(got.ReplyTo); got.ReplyTo != "" && (uid != string(f.self) || !extended) {
				t.Errorf("%s, %s: reply to %q", name, form, got.ReplyTo)
			}
			got.ReplyTo = m.ReplyTo
			if got, want := show(&got), show(&m); got != want {
				t.Errorf("%s, %s: came back as\n %s, was\n %s", name, form, got, want)
			}
			if m, err := f.decode(string(payload)); err != nil || m.Body != nil || m.From != f.self {
				t.Errorf("%s, %s: its sender reads %+v, %v", name, form, m, err)
			}
		}
	}
}

func TestFamilyEntriesComeBackAsTheyWere(t *testing.T) {
	f := testFamily(t)
	for name, body := range said(t) {
		m := cluster.Message{From: f.self, Seq: 9, Namespace: "/", Body: body}
		e, err := f.entry(&m, false)
		if _, answer, _ := f.kindOf(body); answer {
			if !errors.Is(err, errNoFamilyForm) {
				t.Errorf("%s in a stream: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		values := make(map[string]any)
		for fields := e.fields(); len(fields) > 0; fields = fields[2:] {
			values[fields[0]] = fields[1]
		}
		got, err := other(f).fromEntry(entryOf(values))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, want := show(&got), show(&m); got != want {
			t.Errorf("%s: came back as\n %s, was\n %s", name, got, want)
		}
		if m, err := f.fromEntry(e); err != nil || m.Body != nil || m.From != f.self {
			t.Errorf("%s: its sender reads %+v, %v", name, m, err)
		}
	}
}

// The extension is one more key, and everything else is as without it.
func TestExtensionOfFamilyIsOneKey(t *testing.T) {
	f := testFamily(t)
	plain := *f
	plain.extension = false
	for name, body := range said(t) {
		m := cluster.Message{From: f.self, Seq: 9, ReplyTo: "x1437b1cfd6052bbf", Namespace: "/", Body: body}
		bare := plain.forms(t, &m)
		for form, payload := range f.forms(t, &m) {
			got, want := generic(t, payload), generic(t, bare[form])
			if _, ok := got["x"]; !ok {
				t.Errorf("%s, %s: no extension: %s", name, form, payload)
			}
			delete(got, "x")
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s:\n %v without extension\n %v", name, form, got, want)
			}
			if m, err := other(&plain).decode(string(payload)); err != nil || m.Seq != 0 || strings.HasPrefix(string(m.ReplyTo), askedWithExtended) {
				t.Errorf("%s, %s: without extension it is %+v, %v", name, form, m, err)
			}
		}
		// Whoever asked without the extension is answered without.
		if _, answer, _ := f.kindOf(body); answer {
			m.ReplyTo = "-1437b1cfd6052bbf"
			for form, payload := range f.forms(t, &m) {
				if !bytes.Equal(payload, bare[form]) {
					t.Errorf("%s, %s: a plain answer is %q, want %q", name, form, payload, bare[form])
				}
			}
		}
	}
}

func generic(tb testing.TB, payload []byte) (object map[string]any) {
	tb.Helper()
	if payload[0] != '{' {
		p, _, err := parser.PayloadFromMsgpack(payload, parser.Limits{})
		if err != nil {
			tb.Fatal(err)
		}
		payload = p.JSON
	}
	if err := json.Unmarshal(payload, &object); err != nil {
		tb.Fatalf("%q: %v", payload, err)
	}
	return object
}

func TestFamilyHasNoFormForWhatJavaScriptCannotHear(t *testing.T) {
	f := testFamily(t)
	gone := cluster.Message{ReplyTo: "-a", Body: cluster.AckReply{RequestID: "r", Gone: true}}
	for _, write := range []func([]byte, *cluster.Message) ([]byte, error){f.appendSharded, f.appendMsgpack} {
		if text, err := write(nil, &gone); text != nil || err != nil {
			t.Errorf("gone to JavaScript: %q, %v", text, err)
		}
	}
	f.extension = false
	for _, body := range []cluster.Body{
		cluster.Leaving{},
		cluster.Rooms{RequestID: "r"},
		cluster.RoomsReply{RequestID: "r"},
		cluster.Applied{RequestID: "r"},
	} {
		if text, err := f.appendSharded(nil, &cluster.Message{Body: body}); !errors.Is(err, errNoFamilyForm) {
			t.Errorf("%T: %q, %v", body, text, err)
		}
	}
}

func TestFamilyNeverSaysNull(t *testing.T) {
	f := testFamily(t)
	for _, body := range []cluster.Body{
		cluster.Broadcast{Packet: eventOf(t)},
		cluster.Join{},
		cluster.Leave{},
		cluster.Disconnect{},
		cluster.FetchSockets{RequestID: "r"},
		cluster.SocketsReply{RequestID: "r"},
		cluster.AckReply{RequestID: "r"},
		cluster.EmitReply{RequestID: "r"},
		cluster.RoomsReply{RequestID: "r"},
		cluster.SocketsReply{RequestID: "r", Sockets: []cluster.SocketInfo{{ID: "s"}}},
	} {
		text, err := f.appendSharded(nil, &cluster.Message{Body: body})
		if err != nil || bytes.Contains(text, []byte("null")) || bytes.Contains(text, []byte("volatile")) {
			t.Errorf("%T: %s, %v", body, text, err)
		}
	}
}

func TestIntegersOfStreamsStayExactBetweenGoNodes(t *testing.T) {
	f := testFamily(t)
	m := cluster.Message{Body: cluster.Emit{RequestID: "r", Payload: eventOf(t, json.RawMessage(`1152921504606846977`), json.RawMessage(`-9007199254740993`)).Payload}}
	exact, err := f.appendMsgpack(nil, &m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := other(f).decode(string(exact))
	if want := `["hello",1152921504606846977,-9007199254740993]`; err != nil || string(got.Body.(cluster.Emit).Payload.JSON) != want {
		t.Errorf("%+v, %v", got, err)
	}
	f.extension = false
	rounded, err := f.appendMsgpack(nil, &m)
	if err != nil || !bytes.Contains(rounded, []byte("\xcb\x43\xb0\x00\x00\x00\x00\x00\x00\xcb\xc3\x40\x00\x00\x00\x00\x00\x00")) {
		t.Errorf("%q, %v", rounded, err)
	}
}

func TestPlaintextEntryHasBuffersAsObjects(t *testing.T) {
	f := testFamily(t)
	e, err := f.entry(&cluster.Message{Body: cluster.Broadcast{Packet: eventOf(t, []byte{1, 2})}}, true)
	want := `{"packet":{"type":2,"data":["hello",{"type":"Buffer","data":[1,2]}]},"opts":{"rooms":[],"except":[],"flags":{}}}`
	if err != nil || e.data != want || e.x != "" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestSessionKeepsPositionsAndNode(t *testing.T) {
	f := testFamily(t)
	s := cluster.Session{
		PID: "pid", Socket: "sid", Data: json.RawMessage(`{"a":[1,null]}`), Start: "5-0", Node: "node",
		Rooms: map[string]cluster.Offset{"b": "7-1", "a": "", "": "6-0"},
	}
	value, err := f.sessionValue(&s)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.session(value); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("came back as\n %+v, %v, was\n %+v", got, err, s)
	}
	plain := *f
	plain.extension = false
	bare, err := plain.sessionValue(&s)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		t.Fatal(err)
	}
	if keys := generic(t, decoded); keys["x"] == nil || keys["sid"] != "sid" || !reflect.DeepEqual(keys["rooms"], []any{"sid", "", "a", "b"}) {
		t.Errorf("value %v", keys)
	}
	s.Start, s.Node, s.Rooms = "", "", map[string]cluster.Offset{"b": "", "a": "", "": ""}
	for name, value := range map[string]string{"written": bare, "read": value} {
		if got, err := plain.session(value); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s without extension: %+v, %v", name, got, err)
		}
	}
}
