package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
)

func TestRedisURLs(t *testing.T) {
	for _, test := range []struct {
		url, name string
		addrs     []string // of a Redis Cluster
		tls       bool
	}{
		{url: "redis://u:secret@h:1/2", name: "redis://u:xxxxx@h:1/2"},
		{url: "rediss://h", name: "rediss://h", tls: true},
		{url: "unix:///run/redis.sock", name: "unix:///run/redis.sock"},
		{url: "redis://:p,%40secret@a,b:2,[::1]:3", name: "redis://:xxxxx@a,b:2,[::1]:3", addrs: []string{"a:6379", "b:2", "[::1]:3"}},
		{url: "redis+cluster://a/", name: "redis+cluster://a/", addrs: []string{"a:6379"}},
		{url: "REDISS+Cluster://u:secret@a,[::1]?pool_size=7", name: "rediss+cluster://u:xxxxx@a,[::1]", addrs: []string{"a:6379", "[::1]:6379"}, tls: true},
		{url: "redis+sentinel://a,b:2/master", name: "redis+sentinel://a,b:2/master"},
		{url: "rediss+sentinel://u:secret@a,b:2/master/3?sentinel_username=s&sentinel_password=secret", name: "rediss+sentinel://u:xxxxx@a,b:2/master/3", tls: true},
	} {
		b := config.Bus{Redis: test.url}
		if name := b.RedisName(); name != test.name {
			t.Errorf("RedisName() of %s = %s, want %s", test.url, name, test.name)
		}
		if got := b.IsRedisCluster(); got != (test.addrs != nil) {
			t.Errorf("IsRedisCluster() of %s = %v", test.url, got)
		}
		open, err := b.RedisClient()
		if err != nil {
			t.Errorf("RedisClient() of %s: %v", test.url, err)
			continue
		}
		client := open()
		var tls, repeats bool
		switch c := client.(type) {
		case *redis.ClusterClient:
			tls, repeats = c.Options().TLSConfig != nil, c.Options().MaxRetries > 0
			if !reflect.DeepEqual(c.Options().Addrs, test.addrs) {
				t.Errorf("%s has the hosts %q, want %q", test.url, c.Options().Addrs, test.addrs)
			}
		case *redis.Client:
			tls, repeats = c.Options().TLSConfig != nil, c.Options().MaxRetries > 0
			if test.addrs != nil {
				t.Errorf("%s is no cluster", test.url)
			}
			if sentinels := strings.Contains(test.url, "sentinel"); sentinels != (c.Options().Addr == "FailoverClient") {
				t.Errorf("%s with Sentinels: %v", test.url, !sentinels)
			}
			if strings.HasSuffix(test.name, "/3") && (c.Options().DB != 3 || c.Options().Username != "u" || c.Options().Password != "secret") {
				t.Errorf("%s = %+v, want user, password and database", test.url, c.Options())
			}
		}
		if tls != test.tls || repeats {
			t.Errorf("%s: TLS %v, repeats %v; want %v and never", test.url, tls, repeats, test.tls)
		}
		_ = client.Close()
	}
}

func TestBadRedisURLIsExplained(t *testing.T) {
	const secret = "hunter2"
	for url, want := range map[string]string{
		"redis+http://h":                                  "redis+sentinel://",
		"redis+redis://h":                                 "redis+cluster://",
		"redis+://h":                                      "scheme",
		"unix+sentinel://h/m":                             "scheme",
		"sentinel://h/m":                                  "scheme",
		"redis+sentinel://h1,h2":                          "name of the master",
		"redis+sentinel://h1,h2/":                         "name of the master",
		"redis+sentinel:///m":                             "host 1 of 1",
		"redis+sentinel://h/m/x":                          "master-name[/database]",
		"redis+sentinel://h/m?addr=x:1":                   "host:port",
		"redis+sentinel://h/m?wrong=1":                    "cannot be read",
		"redis+sentinel://h/m?replica_only=true":          "replica_only: only masters",
		"redis+sentinel://h/m?route_by_latency=true":      "route_by_latency: only masters",
		"redis://a,b/1":                                   "no databases",
		"redis+cluster://a,b?read_only=true":              "read_only: only masters",
		"redis://a,,b":                                    "host 2 of 3",
		"redis://a:1:2,b":                                 "host 1 of 2",
		"redis://a:0,b":                                   "host 1 of 2",
		"redis://a:http,b":                                "host 1 of 2",
		"redis://::1,b":                                   "host 1 of 2",
		"redis://u:hunter2/x@a,b":                         "percent-encoded",
		"redis+sentinel://:hunter2/x@a,b/m":               "percent-encoded",
		"redis+sentinel://:%zzhunter2@a/m":                "percent-encoded",
		"redis+cluster://:hunter2@a:port":                 "host 1 of 1",
		"redis+sentinel://a/m?sentinel_password=hunter2;": "cannot be read",
	} {
		_, err := parse(t, "serve", "--redis", url)
		if err == nil || !strings.Contains(err.Error(), "--redis: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("--redis %s: error %v, want one with %q and without the password", url, err, want)
		}
	}
	if _, err := parse(t, "serve", "--redis=redis://a,b", "--adapter=sharded"); err == nil || !strings.Contains(err.Error(), "--adapter: ") {
		t.Errorf("sharded on a Redis Cluster: %v", err)
	}
}
