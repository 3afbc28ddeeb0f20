package redisadapter

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// entry is a message in a stream, as the fields of XADD. Those that are empty
// are not there.
type entry struct {
	uid       string
	namespace string
	kind      string // decimal
	data      string // JSON, or MessagePack in base64
	x         string // the extension as JSON
	sig       string // see sign.go
}

// fields returns the entry as XADD wants it.
func (e *entry) fields() []string {
	list := append(make([]string, 0, 12), "uid", e.uid, "nsp", e.namespace, "type", e.kind)
	if e.data != "" {
		list = append(list, "data", e.data)
	}
	if e.x != "" {
		list = append(list, "x", e.x)
	}
	if e.sig != "" {
		list = append(list, sealField, e.sig)
	}
	return list
}

// entryOf returns what XREAD or XRANGE has read.
func entryOf(values map[string]any) entry {
	text := func(key string) string {
		s, _ := values[key].(string)
		return s
	}
	return entry{uid: text("uid"), namespace: text("nsp"), kind: text("type"), data: text("data"), x: text("x"), sig: text(sealField)}
}

// entry writes a message for the stream. With plaintext it is JSON in any case,
// and binary values become what JSON.stringify makes of a Buffer.
func (f *family) entry(m *cluster.Message, plaintext bool) (entry, error) {
	kind, answer, err := f.kindOf(m.Body)
	if err != nil {
		return entry{}, err
	}
	if answer {
		return entry{}, fmt.Errorf("%w: %T in a stream", errNoFamilyForm, m.Body)
	}
	e := entry{uid: f.uid(), namespace: f.namespace, kind: strconv.Itoa(kind)}
	x := extension{Seq: m.Seq}
	x.notes(m.Body)
	if f.signs(m) {
		e.x = string(x.appendJSON(nil))
	}
	if onlyForGo(m.Body) {
		return e, nil
	}
	text, attachments, err := f.appendData(newBuffer(m), m.Body, &x, false, true)
	if err != nil {
		return entry{}, err
	}
	p := parser.Payload{JSON: text, Attachments: attachments}
	switch {
	case len(attachments) == 0:
		e.data = string(text)
	case plaintext:
		if text, err = jsonText(p); err != nil {
			return entry{}, fmt.Errorf("encode entry: %w", err)
		}
		e.data = string(text)
	default:
		packed, err := f.pack(nil, p)
		if err != nil {
			return entry{}, err
		}
		e.data = base64.StdEncoding.EncodeToString(packed)
	}
	return e, nil
}

// fromEntry is decode for an entry of a stream. Requests are found there too,
// from streams adapters up to 0.2; they are answered on a channel.
func (f *family) fromEntry(e entry) (cluster.Message, error) {
	kind, err := strconv.Atoi(e.kind)
	if err != nil {
		return cluster.Message{}, fmt.Errorf("%w: entry of type %.20q", errMalformed, e.kind)
	}
	h := head{kind: kind, uid: e.uid, namespace: e.namespace}
	if f.isSelf(e.uid) || e.namespace != f.namespace {
		return f.message(&wire{}, &h) // no more of it is read
	}
	if e.x != "" && f.extension {
		if h.x, err = f.readX(e.x); err != nil {
			return cluster.Message{}, err
		}
	}
	data := e.data
	if data != "" && data[0] != '{' {
		packed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(data))
		if err != nil {
			return cluster.Message{}, fmt.Errorf("%w: data: %w", errMalformed, err)
		}
		data = string(packed)
	}
	w, err := f.open(data)
	if err != nil {
		return cluster.Message{}, err
	}
	if h.data = w.whole(); w.json == nil {
		c := cursor{s: data}
		if c.skip(); data != "" && (c.bad || c.left() > 0) {
			return cluster.Message{}, fmt.Errorf("%w at byte %d of an entry's data", errMalformed, c.i)
		}
	}
	return f.message(&w, &h)
}

func (f *family) readX(text string) (*extension, error) {
	w, err := f.open(text)
	if err != nil {
		return nil, err
	}
	r := w.reader(w.whole())
	x := readExtension(r)
	x.start, x.end = 0, 0 // arguments would stand in the data's text
	if w.json == nil || r.failed() {
		return nil, fmt.Errorf("%w: extension of an entry", errMalformed)
	}
	return x, nil
}
