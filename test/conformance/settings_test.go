package main

import (
	"strings"
	"testing"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
)

func TestSettingsRefuseWhatTheServerCannotDo(t *testing.T) {
	tests := []struct{ env, want string }{
		{"ADAPTER=kafka", "ADAPTER: redis adapter: unknown mode \"kafka\""},
		{"DUNLIN_ROUTING=best", "DUNLIN_ROUTING: redis adapter: unknown routing \"best\""},
		{"DUNLIN_NO_EXTENSION=yes", "DUNLIN_NO_EXTENSION is \"yes\""},
		{"PARSER=xml", "PARSER is \"xml\""},
		{"EIO3=1", "EIO3=1 is not supported"},
		{"EIO3=yes", "EIO3 is \"yes\""},
		{"RECOVERY=on", "RECOVERY is \"on\""},
		{"PORT=http", "PORT is \"http\""},
		{"PING_INTERVAL=-1", "PING_INTERVAL is \"-1\""},
		{"PING_TIMEOUT=0", "PING_TIMEOUT is \"0\""},
		{"MAX_PAYLOAD=1MB", "MAX_PAYLOAD is \"1MB\""},
		{"REDIS_URL=localhost", "REDIS_URL: "},
	}
	for _, test := range tests {
		name, value, _ := strings.Cut(test.env, "=")
		_, err := readSettings(func(n string) string {
			if n == name {
				return value
			}
			return ""
		})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.env, err, test.want)
		}
	}
}

func TestSettingsDefaults(t *testing.T) {
	set, err := readSettings(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if set.port != 3000 || set.redis != nil || set.node != "go-1" || set.codec.Name() != "json" || set.maxPayload != 1_000_000 {
		t.Errorf("defaults: %+v", set)
	}
	other, err := readSettings(func(n string) string {
		return map[string]string{
			"PARSER": "msgpack", "REDIS_URL": "redis://127.0.0.1:1/2", "RECOVERY": "1",
			"ADAPTER": "sharded", "DUNLIN_ROUTING": "dynamic-private", "DUNLIN_NO_EXTENSION": "1",
		}[n]
	})
	if err != nil || other.codec.Name() != "msgpack" || other.redis == nil || other.redis.DB != 2 || other.recovery.MaxDisconnection == 0 {
		t.Errorf("settings: %+v, %v", other, err)
	}
	want := redisadapter.Options{Mode: redisadapter.Sharded, Routing: redisadapter.DynamicPrivate, NoExtension: true}
	if a := other.adapter; a.Mode != want.Mode || a.Routing != want.Routing || a.NoExtension != want.NoExtension {
		t.Errorf("adapter: %+v", other.adapter)
	}
}
