package config_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
)

func TestBench(t *testing.T) {
	command, err := parse(t, "bench", "echo")
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Bench{
		Clients: 100, Rooms: 10, Duration: 5 * time.Second, Warmup: time.Second, Timeout: 5 * time.Second,
		Size: 128, Namespace: "/", Path: "/socket.io/", Scenario: "echo", URLs: []string{"http://127.0.0.1:3000"},
	}
	if !reflect.DeepEqual(command, want) {
		t.Errorf("bench echo = %+v, want %+v", command, want)
	}
	command, err = parse(t, "bench", "rooms", "--clients=10000", "--rooms", "5000", "--rate=20", "--duration=1m", "--warmup=0s", "--timeout=1s",
		"--size=1024", "--binary", "--json", "--namespace=playground", "--path=/x", "http://a:1/", "https://b")
	if err != nil {
		t.Fatal(err)
	}
	want = &config.Bench{
		Clients: 10_000, Rooms: 5000, Rate: 20, Duration: time.Minute, Timeout: time.Second, Size: 1024, Binary: true, JSON: true,
		Namespace: "/playground", Path: "/x/", Scenario: "rooms", URLs: []string{"http://a:1", "https://b"},
	}
	if !reflect.DeepEqual(command, want) {
		t.Errorf("bench rooms = %+v, want %+v", command, want)
	}
}

func TestBenchSaysWhatIsWrong(t *testing.T) {
	for args, want := range map[string]string{
		"":                                   "scenario",
		"fast":                               "connect",
		"echo --clients=0":                   "--clients: 0: use 1 to 10000",
		"echo --clients=10001":               "--clients",
		"echo --rate=5 --in-flight=2":        "leave one of them out",
		"echo --size=79":                     "--size: 79: use 80 to 1048576",
		"echo --duration=0s":                 "--duration",
		"echo --path=x":                      "--path",
		"echo --namespace=/a,b":              "comma",
		"echo 127.0.0.1:3000":                "write scheme://host:port",
		"echo ws://127.0.0.1:3000":           "write scheme://host:port",
		"echo http://h/socket.io/":           "--path",
		"echo --clients=1 http://a http://b": "--clients: 1: there must be one for each of the 2 addresses",
		"idle --rate=1":                      "idle sends nothing",
		"connect --in-flight=2":              "connect sends nothing",
		"cluster http://a":                   "cluster: give the address of each node",
		"rooms --clients=10 --rooms=6 http://a http://b": "--rooms: 6: use 1 to 5",
	} {
		if _, err := parse(t, append([]string{"bench"}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("bench %s: %v, want %q", args, err, want)
		}
	}
}
