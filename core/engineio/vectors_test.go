package engineio

// Golden data recorded from the reference implementation (testdata/engineio-payloads.json). Every entry is checked, and
// an entry with a field this file does not know fails. What differs on purpose is in the tables, with the reason.

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

type vectorFile struct {
	Meta          json.RawMessage       `json:"meta"`
	Packets       []vectorPacket        `json:"packets"`
	Payloads      []vectorPayload       `json:"payloads"`
	DecodePacket  []vectorDecodePacket  `json:"decode_packet"`
	DecodePayload []vectorDecodePayload `json:"decode_payload"`
	WebTransport  json.RawMessage       `json:"webtransport"` // a transport this package does not have
	HTTP          []json.RawMessage     `json:"http"`         // checked in vectors_http_test.go
	Upgrade       []json.RawMessage     `json:"websocket_upgrade"`
	ClientPing    []json.RawMessage     `json:"websocket_client_ping"`
}

type vectorPacket struct {
	Name   string      `json:"name"`
	Packet packetValue `json:"packet"`
	Binary bytesValue  `json:"encoded_binary_transport"`
	Text   bytesValue  `json:"encoded_text_transport"`
}

type vectorPayload struct {
	Name    string        `json:"name"`
	Packets []packetValue `json:"packets"`
	Encoded string        `json:"encoded"`
	Hex     string        `json:"encoded_utf8_hex"`
	Decoded []packetValue `json:"decoded"`
}

type vectorDecodePacket struct {
	Name    string      `json:"name"`
	Encoded bytesValue  `json:"encoded"`
	Decoded packetValue `json:"decoded"`
}

type vectorDecodePayload struct {
	Name    string        `json:"name"`
	Encoded string        `json:"encoded"`
	Decoded []packetValue `json:"decoded"`
}

type packetValue struct {
	Type string      `json:"type"`
	Data *bytesValue `json:"data"`
}

// bytesValue is a JSON string, or {"$bytes": hex} for binary data.
type bytesValue struct {
	binary bool
	data   []byte
}

func (v *bytesValue) UnmarshalJSON(p []byte) error {
	if len(p) > 0 && p[0] == '"' {
		var s string
		err := json.Unmarshal(p, &s)
		v.data = []byte(s)
		return err
	}
	var b struct {
		Hex *string `json:"$bytes"`
	}
	dec := json.NewDecoder(bytes.NewReader(p))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil || b.Hex == nil {
		return fmt.Errorf("neither a string nor {$bytes}: %s", p)
	}
	var err error
	v.binary = true
	v.data, err = hex.DecodeString(*b.Hex)
	return err
}

func loadVectors(t *testing.T) vectorFile {
	t.Helper()
	f, err := os.Open("testdata/engineio-payloads.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var v vectorFile
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

var vectorTypes = map[string]packetType{
	"open": packetOpen, "close": packetClose, "ping": packetPing, "pong": packetPong, "message": packetMessage,
	"upgrade": packetUpgrade, "noop": packetNoop,
}

// batch builds what the server would send for v.
func (v packetValue) batch(t *testing.T) *Batch {
	t.Helper()
	kind, ok := vectorTypes[v.Type]
	if !ok {
		t.Fatalf("unknown packet type %q", v.Type)
	}
	var data bytesValue
	if v.Data != nil {
		data = *v.Data
	}
	if kind == packetMessage {
		return NewBatch(Message{Binary: data.binary, Data: data.data})
	}
	return newPacket(kind, string(data.data))
}

// matches reports whether p is what v says. The reference tells absent data from empty data; on the wire they are one.
func (v packetValue) matches(t *testing.T, p packet) bool {
	t.Helper()
	kind, ok := vectorTypes[v.Type]
	if !ok {
		t.Fatalf("unknown packet type %q", v.Type)
	}
	var data bytesValue
	if v.Data != nil {
		data = *v.Data
	}
	return p.kind == kind && p.binary == data.binary && bytes.Equal(p.data, data.data)
}

func TestVectorsPackets(t *testing.T) {
	for _, v := range loadVectors(t).Packets {
		b := v.Packet.batch(t)
		payload, rest := splitFrame(b.wire)
		if isBinary := b.wire[0] == frameBinary; isBinary != v.Binary.binary || !bytes.Equal(payload, v.Binary.data) || len(rest) > 0 {
			t.Errorf("%s: frame %x, want payload %x", v.Name, b.wire, v.Binary.data)
		}
		if got := b.packet(0); v.Text.binary || !bytes.Equal(got, v.Text.data) {
			t.Errorf("%s: text form %q, want %q", v.Name, got, v.Text.data)
		}
		if got, _ := splitFrame(b.textWire()); !bytes.Equal(got, v.Text.data) || b.textWire()[0] != frameText {
			t.Errorf("%s: text frame %q, want %q", v.Name, got, v.Text.data)
		}
		if p, err := decodePacket(bytes.Clone(v.Text.data)); err != nil || !v.Packet.matches(t, p) {
			t.Errorf("%s: decoded %+v, %v", v.Name, p, err)
		}
	}
}

func TestVectorsPayloads(t *testing.T) {
	for _, v := range loadVectors(t).Payloads {
		want, err := hex.DecodeString(v.Hex)
		if err != nil || string(want) != v.Encoded {
			t.Fatalf("%s: encoded and encoded_utf8_hex differ", v.Name)
		}
		var parts [][]byte
		for _, p := range v.Packets {
			parts = append(parts, p.batch(t).packet(0))
		}
		if got := bytes.Join(parts, []byte{separator}); !bytes.Equal(got, want) {
			t.Errorf("%s: encoded %q, want %q", v.Name, got, want)
		}
		checkPayload(t, v.Name, v.Encoded, v.Decoded)
	}
}

func TestVectorsDecodePacket(t *testing.T) {
	for _, v := range loadVectors(t).DecodePacket {
		if v.Encoded.binary { // a binary frame: a message whatever its bytes
			if v.Decoded.Type != "message" || !bytes.Equal(v.Decoded.Data.data, v.Encoded.data) {
				t.Errorf("%s: a binary frame is not its message", v.Name)
			}
			continue
		}
		p, err := decodePacket(bytes.Clone(v.Encoded.data))
		if v.Decoded.Type == "error" {
			if err == nil {
				t.Errorf("%s: %q decoded to %+v, want an error", v.Name, v.Encoded.data, p)
			}
			continue
		}
		if err != nil || !v.Decoded.matches(t, p) {
			t.Errorf("%s: %q decoded to %+v, %v", v.Name, v.Encoded.data, p, err)
		}
	}
}

func TestVectorsDecodePayload(t *testing.T) {
	for _, v := range loadVectors(t).DecodePayload {
		checkPayload(t, v.Name, v.Encoded, v.Decoded)
	}
}

func checkPayload(t *testing.T, name, encoded string, want []packetValue) {
	t.Helper()
	i := 0
	for p, err := range packets([]byte(encoded)) {
		switch {
		case i >= len(want):
			t.Errorf("%s: more than %d packets", name, len(want))
			return
		case err != nil && want[i].Type != "error", err == nil && want[i].Type == "error":
			t.Errorf("%s: packet %d: %+v, %v, want %s", name, i, p, err, want[i].Type)
		case err == nil && !want[i].matches(t, p):
			t.Errorf("%s: packet %d is %+v, want %+v", name, i, p, want[i])
		}
		i++
	}
	if i != len(want) {
		t.Errorf("%s: %d packets, want %d", name, i, len(want))
	}
}

// TestVectorsAreAllKnown fails when the file grows a part that no test here looks at.
func TestVectorsAreAllKnown(t *testing.T) {
	v := loadVectors(t)
	got := map[string]int{
		"packets": len(v.Packets), "payloads": len(v.Payloads), "decode_packet": len(v.DecodePacket),
		"decode_payload": len(v.DecodePayload), "http": len(v.HTTP), "websocket_upgrade": len(v.Upgrade),
		"websocket_client_ping": len(v.ClientPing),
	}
	for name, n := range got {
		if n == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	if !strings.Contains(string(v.WebTransport), "encode") {
		t.Error("webtransport framing has gone; it is the only part that is left out")
	}
}
