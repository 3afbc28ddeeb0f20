package config_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
)

func emit(t *testing.T, args ...string) *config.Emit {
	t.Helper()
	command, err := parse(t, append([]string{"emit", "--redis=redis://h:1"}, args...)...)
	if err != nil {
		t.Fatalf("emit %q: %v", args, err)
	}
	return command.(*config.Emit)
}

func TestEmit(t *testing.T) {
	e := emit(t, "hello", "--room", "a,b", "--room=c", `{"x":1}`, `"y"`, "--except", "d", "--namespace=chat", "--volatile",
		"--join=j", "--leave", "l", "--disconnect", "--timeout=1s", "--adapter=sharded")
	want := &config.Emit{
		Bus: config.Bus{Redis: "redis://h:1", Adapter: redisadapter.Sharded}, Namespace: "/chat",
		Room: []string{"a,b", "c"}, Except: []string{"d"}, Join: []string{"j"}, Leave: []string{"l"},
		Volatile: true, Disconnect: true, Timeout: time.Second, Event: "hello", Arguments: []string{`{"x":1}`, `"y"`},
	}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("emit = %+v, want %+v", e, want)
	}
	if got, want := e.Values(), []any{json.RawMessage(`{"x":1}`), json.RawMessage(`"y"`)}; !reflect.DeepEqual(got, want) {
		t.Errorf("Values() = %q, want %q", got, want)
	}
	if got, want := emit(t, "--string", "e", "a b", "1").Values(), []any{"a b", "1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Values() with --string = %q, want %q", got, want)
	}
	if got, want := emit(t, "--string", "--", "score", "-5", "--room").Arguments, []string{"-5", "--room"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Arguments behind -- = %q, want %q", got, want)
	}
}

// A variable of a script that is empty by mistake must not reach everybody.
func TestEmitToAnEmptyRoomIsNotToEverybody(t *testing.T) {
	for _, args := range [][]string{{"--room", ""}, {"--room="}} {
		if e := emit(t, append(args, "x")...); !reflect.DeepEqual(e.Room, []string{""}) {
			t.Errorf("%q selects rooms %q", args, e.Room)
		}
	}
}

func TestEmitReadsTheFileOfTheNodes(t *testing.T) {
	path := writeFile(t, "dunlin.yaml", "addr: 127.0.0.1:1\nredis: redis://file:1\nadapter: streams\nping-interval: 3s\n")
	command, err := parse(t, "emit", "--config", path, "x")
	if err != nil {
		t.Fatal(err)
	}
	if e := command.(*config.Emit); e.Redis != "redis://file:1" || e.Adapter != redisadapter.Streams {
		t.Errorf("redis %q, adapter %v, want those of the file", e.Redis, e.Adapter)
	}
	t.Setenv(config.RedisVariable, "redis://environment:1")
	t.Setenv("DUNLIN_CONFIG", path)
	if command, err = parse(t, "emit", "x"); err != nil {
		t.Fatal(err)
	}
	if e := command.(*config.Emit); e.Redis != "redis://environment:1" || e.Adapter != redisadapter.Streams {
		t.Errorf("redis %q, adapter %v, want the environment's and the file's", e.Redis, e.Adapter)
	}
}

func TestBadEmitIsExplained(t *testing.T) {
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"x", "hello"}, []string{"argument 1, hello,", `'"hello"'`, "--string"}},
		{[]string{"x", "1", `a"b`}, []string{"argument 2", `'"a\"b"'`}},
		{[]string{"x", "{a:1}"}, []string{"argument 1", "not JSON"}},
		{[]string{"x", "NaN", "1 2"}, []string{"argument 1, NaN", "argument 2, 1 2"}},
		{[]string{"x", ""}, []string{"argument 1, ,", `'""'`}},
		{[]string{"score", "-5"}, []string{"-5", "write --"}},
		{[]string{}, []string{"nothing to do", "--join"}},
		{[]string{"--room=a"}, []string{"nothing to do"}},
		{[]string{"--volatile", "--join=a"}, []string{"no name"}},
		{[]string{"", "1"}, []string{"nothing to do"}},
		{[]string{"connect"}, []string{`"connect"`, "another name"}},
		{[]string{"--servers", "--room=a", "x"}, []string{"--servers"}},
		{[]string{"--servers", "--disconnect", "x"}, []string{"--servers"}},
		{[]string{"--timeout=0s", "x"}, []string{"--timeout", "1ms to 24h"}},
		{[]string{"--adapter=x", "x"}, []string{"--adapter", "classic, sharded or streams"}},
		{[]string{"--redis=h:1", "x"}, []string{"--redis", "redis://"}},
		{[]string{"--to=a", "x"}, []string{"--to", "did you mean --room"}},
	} {
		_, err := parse(t, append([]string{"emit", "--redis=redis://h:1"}, test.args...)...)
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("emit %q: error %v, want one that contains %q", test.args, err, want)
			}
		}
	}
	if _, err := parse(t, "emit", "x"); err == nil || !strings.Contains(err.Error(), "--redis") || !strings.Contains(err.Error(), config.RedisVariable) {
		t.Errorf("emit without Redis: %v", err)
	}
}
