package config

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

func (e *Emit) check() error {
	var p problems
	if e.Redis == "" {
		p.add("--redis: it is not given: name the Redis of the nodes, such as redis://127.0.0.1:6379, here or in %s", RedisVariable)
	}
	e.Bus.check(&p)
	if !strings.HasPrefix(e.Namespace, "/") {
		e.Namespace = "/" + e.Namespace
	}
	p.duration("--timeout", e.Timeout, time.Millisecond)
	moves := len(e.Join) > 0 || len(e.Leave) > 0 || e.Disconnect
	switch {
	case e.Event == "" && !moves:
		p.add("nothing to do: name an event, or use --join, --leave or --disconnect")
	case e.Event == "" && (e.Servers || e.Volatile || len(e.Arguments) > 0):
		p.add("the event has no name: give it before its arguments")
	case e.Servers && (moves || e.Volatile || len(e.Room) > 0 || len(e.Except) > 0):
		p.add("--servers: servers are in no rooms: leave the options for sockets out")
	case e.Event != "" && parser.Reserved(e.Event):
		p.add("%q is an event of the protocol itself: choose another name", e.Event)
	}
	e.checkArguments(&p)
	return p.err()
}

func (e *Emit) checkArguments(p *problems) {
	if e.String {
		return
	}
	for i, text := range e.Arguments {
		if json.Valid([]byte(text)) {
			continue
		}
		quoted, _ := json.Marshal(text) // a string always has a form
		p.add("argument %d, %s, is not JSON: write '%s' with both quotes if it is a string, or use --string for all", i+1, text, quoted)
	}
}

// Values are the arguments of the event.
func (e *Emit) Values() []any {
	var values []any
	for _, text := range e.Arguments {
		if e.String {
			values = append(values, text)
		} else {
			values = append(values, json.RawMessage(text))
		}
	}
	return values
}
