package config_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
)

func parse(t *testing.T, args ...string) (config.Command, error) {
	t.Helper()
	return config.Parse(args, io.Discard, io.Discard)
}

func serve(t *testing.T, args ...string) *config.Serve {
	t.Helper()
	command, err := parse(t, append([]string{"serve"}, args...)...)
	if err != nil {
		t.Fatalf("serve %q: %v", args, err)
	}
	return command.(*config.Serve)
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	s := serve(t)
	want := &config.Serve{
		Node: config.Node{
			Path: "/socket.io/", Transports: []string{"polling", "websocket"},
			PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, UpgradeTimeout: 10 * time.Second,
			ConnectTimeout: 45 * time.Second, RequestTimeout: 5 * time.Second,
			MaxPayload: 1_000_000, MaxPending: 4 << 20, ShutdownTimeout: 10 * time.Second, LogFormat: "text",
		},
		Addr: "127.0.0.1:3000", LogLevel: slog.LevelInfo, NodeName: s.NodeName,
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("serve without options =\n%+v, want\n%+v", s, want)
	}
	if s.NodeName == "" {
		t.Error("a node without --node-name has no name")
	}
	command, err := parse(t, "dev")
	if err != nil {
		t.Fatal(err)
	}
	if d := command.(*config.Dev); d.Nodes != 3 || !d.Playground || d.Restart || d.Addr != "127.0.0.1:3000" {
		t.Errorf("dev without options = %+v, want 3 nodes with the playground", d)
	}
}

func TestFlagsWinOverEnvironmentOverFileOverDefaults(t *testing.T) {
	path := writeFile(t, "dunlin.yaml", "max-payload: 2000\nping-interval: 1s\nping-timeout: 2s\ntransports: [websocket]\nplayground: true\n")
	t.Setenv("DUNLIN_PING_INTERVAL", "3s")
	t.Setenv("DUNLIN_MAX_PAYLOAD", "3000")
	t.Setenv("DUNLIN_CONFIG", path)
	s := serve(t, "--max-payload=4000")
	if s.MaxPayload != 4000 || s.PingInterval != 3*time.Second || s.PingTimeout != 2*time.Second || s.UpgradeTimeout != 10*time.Second {
		t.Errorf("payload %d (want the flag's 4000), interval %v (the environment's 3s), timeout %v (the file's 2s), upgrade %v (10s)",
			s.MaxPayload, s.PingInterval, s.PingTimeout, s.UpgradeTimeout)
	}
	if !s.Playground || !reflect.DeepEqual(s.Transports, []string{"websocket"}) {
		t.Errorf("playground %v, transports %q, want those of the file", s.Playground, s.Transports)
	}
}

func TestEmptyIsUnset(t *testing.T) {
	path := writeFile(t, "dunlin.yaml", "redis:\nping-timeout: \"\"\norigins: []\n")
	t.Setenv("DUNLIN_PING_INTERVAL", "")
	t.Setenv("DUNLIN_PLAYGROUND", "")
	s := serve(t, "--config", path)
	if s.PingInterval != 25*time.Second || s.PingTimeout != 20*time.Second || s.Playground || s.Redis != "" || len(s.Origins) != 0 {
		t.Errorf("interval %v, timeout %v, playground %v, redis %q, origins %q, want the defaults",
			s.PingInterval, s.PingTimeout, s.Playground, s.Redis, s.Origins)
	}
}

func TestJSONFile(t *testing.T) {
	path := writeFile(t, "dunlin.json", `{"addr": "127.0.0.1:0", "max-pending": 5000, "allow-any-origin": true, "transports": ["polling"]}`)
	s := serve(t, "--config", path)
	if s.Addr != "127.0.0.1:0" || s.MaxPending != 5000 || !s.AllowAnyOrigin || !reflect.DeepEqual(s.Transports, []string{"polling"}) {
		t.Errorf("serve = %+v, want the values of the file", s)
	}
}

// Each error names the option that is wrong and says how to mend it.
func TestBadInputIsExplained(t *testing.T) {
	file := func(text string) string { return "--config=" + writeFile(t, "dunlin.yaml", text) }
	for _, test := range []struct {
		args string
		want []string
	}{
		{"serve --adr=x", []string{"--adr", `did you mean "--addr"`}},
		{"serve --addr=3000", []string{"--addr", "127.0.0.1:3000"}},
		{"serve --addr=localhost:", []string{"--addr", "host:port"}},
		{"serve --addr=:99999", []string{"--addr", "port 99999", "0 to 65535"}},
		{"serve --addr=:-1", []string{"--addr", "0 to 65535"}},
		{"serve --addr=:http", []string{"--addr", "0 to 65535"}},
		{"dev --addr=127.0.0.1:65536", []string{"--addr", "0 to 65535"}},
		{"serve --admin-addr=:65536", []string{"--admin-addr", "0 to 65535"}},
		{"serve --port=3000", []string{"--port", "did you mean --addr", "--addr=127.0.0.1:3000"}},
		{"dev -p 3000", []string{"-p", "did you mean --addr"}},
		{"serve --cors=*", []string{"--cors", "did you mean --origins", "https://"}},
		{"serve --origin=https://a.example", []string{"--origin", "did you mean --origins"}},
		{"serve --redis-url=redis://h:1", []string{"--redis-url", "did you mean --redis"}},
		{"serve --nodes=3", []string{"--nodes", "one node", "dunlin dev --nodes"}},
		{"dev --node=3", []string{"--node", `did you mean "--nodes"`}},
		{"serve --admin-addr=9", []string{"--admin-addr", "host:port"}},
		{"serve --admin-addr=127.0.0.1:3000", []string{"--admin-addr", "another port"}},
		{"serve --redis=http://h:1", []string{"--redis", "redis://"}},
		{"serve --redis=redis://h:1/x", []string{"--redis", "redis://[user:password@]host:port"}},
		{"serve --adapter=x", []string{"--adapter", `"x"`, "classic, sharded or streams"}},
		{"serve --path=socket.io", []string{"--path", "begin with a slash"}},
		{"serve --path=/a{b}/", []string{"--path", "such as /socket.io/"}},
		{"serve --path=/readyz", []string{"--path", "another use"}},
		{"serve --origins=*", []string{"--origins", "--allow-any-origin"}},
		{"serve --origins=example.com", []string{"--origins", "scheme://host"}},
		{"serve --origins=https://*.*.com", []string{"--origins", "at most one *"}},
		{"serve --origins=https://a.example --allow-any-origin", []string{"--allow-any-origin", "leave one of them out"}},
		{"serve --credentials", []string{"--credentials", "--origins"}},
		{"serve --credentials --allow-any-origin", []string{"--credentials", "list --origins"}},
		{"serve --transports=webtransport", []string{"--transports", "polling, websocket"}},
		{"serve --transports=,", []string{"--transports", "polling, websocket"}},
		{"serve --ping-interval=25", []string{"--ping-interval", "such as 25s"}},
		{"serve --ping-timeout=0s", []string{"--ping-timeout", "1ms to 24h"}},
		{"serve --upgrade-timeout=-1s", []string{"--upgrade-timeout", "1ms to 24h"}},
		{"serve --connect-timeout=48h", []string{"--connect-timeout", "1ms to 24h"}},
		{"serve --request-timeout=x", []string{"--request-timeout", "such as 25s"}},
		{"serve --recovery=-1s", []string{"--recovery", "0s to 24h"}},
		{"serve --drain-delay=-1s", []string{"--drain-delay", "0s to 24h"}},
		{"serve --shutdown-timeout=0s", []string{"--shutdown-timeout", "1ms to 24h"}},
		{"serve --max-payload=1MB", []string{"--max-payload", "digits"}},
		{"serve --max-payload=1", []string{"--max-payload", "1024 to"}},
		{"serve --max-pending=9999999999", []string{"--max-pending", "bytes"}},
		{"serve --client-dir=/nowhere", []string{"--client-dir", "socket.io-client/dist"}},
		{"serve --log-level=loud", []string{"--log-level", "debug, info, warn or error"}},
		{"serve --log-format=xml", []string{"--log-format", "text or json"}},
		{"serve --node-name=a#b", []string{"--node-name", "letters, digits"}},
		{"serve --session-prefix=a.b", []string{"--session-prefix", "letters, digits"}},
		{"serve --tls-cert=x", []string{"--tls-cert", "--tls-key"}},
		{"serve --tls-key=x", []string{"--tls-key", "--tls-cert"}},
		{"serve --tls-cert=x --tls-key=y", []string{"--tls-cert", "PEM"}},
		{"serve --redis=redis://h:1 --bus-secret-file=/nowhere", []string{"--bus-secret-file", "/nowhere", "no such file"}},
		{"serve --redis=redis://h:1 --bus-secret-file=" + t.TempDir(), []string{"--bus-secret-file", "is no file"}},
		{"serve --redis=redis://h:1 --bus-secret-file=" + writeFile(t, "short", " tooshort \n"), []string{"--bus-secret-file", "8 characters", "openssl rand"}},
		{"serve --bus-secret-file=" + writeFile(t, "good", strings.Repeat("x", 16)), []string{"--bus-secret-file", "--redis"}},
		{"dev --nodes=0", []string{"--nodes", "1 to 32"}},
		{"dev --nodes=many", []string{"--nodes", "digits"}},
		{"dev --addr=x", []string{"--addr", "host:port"}},
		{"dev --adapter=sharded", []string{"--adapter", "--redis", "Redis 7"}},
		{"serve --config=/nowhere.yaml", []string{"--config", "/nowhere.yaml", "no such file"}},
		{"serve " + file("ping-intervall: 1s"), []string{"--config", "dunlin.yaml:1", `unknown key "ping-intervall"`, "ping-interval,"}},
		{"serve " + file("addr: x:1\nuntil-stdin-closes: true"), []string{"dunlin.yaml:2", "unknown key"}},
		{"serve " + file("\nping-interval: 25"), []string{"dunlin.yaml:2: --ping-interval", "such as 25s"}},
		{"serve " + file("\n\nping-interval: 25h\nmax-payload: 1"), []string{"dunlin.yaml:3: --ping-interval", "1ms to 24h", "dunlin.yaml:4: --max-payload"}},
		{"serve " + file("adapter: fast"), []string{"dunlin.yaml:1: --adapter", "classic, sharded or streams"}},
		{"serve --ping-interval=25h " + file("ping-interval: 25s"), []string{"--ping-interval: 25h0m0s"}},
		{"serve " + file("transports: {a: b}"), []string{"dunlin.yaml:1", "transports", "plain value"}},
		{"serve " + file("transports: [[a]]"), []string{"dunlin.yaml:1", "transports", "list of plain values"}},
		{"serve " + file("- addr"), []string{"dunlin.yaml:1", "list of options"}},
		{"serve " + file("a: [b"), []string{"dunlin.yaml", "neither YAML nor JSON"}},
	} {
		_, err := config.Parse(strings.Fields(test.args), io.Discard, io.Discard)
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one that contains %q", test.args, err, want)
			}
		}
	}
}

func TestBadEnvironmentIsExplained(t *testing.T) {
	t.Setenv("DUNLIN_PING_INTERVAL", "soon")
	_, err := parse(t, "serve", "--config", writeFile(t, "c.yaml", "ping-interval: 3s"))
	for _, want := range []string{"--ping-interval", "DUNLIN_PING_INTERVAL", "such as 25s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that contains %q", err, want)
		}
	}
}

func TestBusSecretsAreReadAndNotShown(t *testing.T) {
	const first, second = "a secret of the cluster", "another secret of it"
	a, b := writeFile(t, "a", first+"\n"), writeFile(t, "b", "\t"+second)
	s := serve(t, "--redis=redis://h:1", "--bus-secret-file="+a+","+b)
	if got := s.BusSecrets; len(got) != 2 || string(got[0]) != first || string(got[1]) != second {
		t.Errorf("BusSecrets = %q", got)
	}
	args, err := s.Args()
	if line := strings.Join(args, " "); err != nil || strings.Contains(line, first) || !strings.Contains(line, "--bus-secret-file="+a+","+b) {
		t.Errorf("Args() = %s, %v", line, err)
	}
	_, err = parse(t, "serve", "--bus-secret-file="+a, "--bus-secret-file="+writeFile(t, "short", "hunter2"))
	if err == nil || strings.Contains(err.Error(), first) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v, want one without secrets", err)
	}
	if _, err := parse(t, "dev", "--bus-secret-file="+a); err != nil {
		t.Errorf("dev with its embedded Redis: %v", err)
	}
	t.Setenv("DUNLIN_BUS_SECRET_FILE", a)
	if e := emit(t, "x"); len(e.BusSecrets) != 1 || string(e.BusSecrets[0]) != first {
		t.Errorf("BusSecrets of emit = %q", e.BusSecrets)
	}
}

func TestAllProblemsAreTold(t *testing.T) {
	_, err := parse(t, "serve", "--addr=x", "--max-payload=1", "--log-format=xml")
	for _, want := range []string{"--addr", "--max-payload", "--log-format"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that contains %q, too", err, want)
		}
	}
}

func TestUnknownEnvironmentIsFound(t *testing.T) {
	t.Setenv("DUNLIN_ADR", "x")
	t.Setenv("DUNLIN_ADDR", "127.0.0.1:1")
	t.Setenv("DUNLIN_ORIGIN", "https://a.example")
	t.Setenv("DUNLIN_PORT", "3000")
	t.Setenv("DUNLIN_WHATEVER", "x")
	got := config.UnknownEnvironment()
	slices.SortFunc(got, func(a, b config.Unknown) int { return strings.Compare(a.Name, b.Name) })
	want := []config.Unknown{
		{"DUNLIN_ADR", "DUNLIN_ADDR"}, {"DUNLIN_ORIGIN", "DUNLIN_ORIGINS"}, {"DUNLIN_PORT", "DUNLIN_ADDR"}, {"DUNLIN_WHATEVER", ""},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("UnknownEnvironment() = %q, want %q", got, want)
	}
}

func TestPasswordIsNotShown(t *testing.T) {
	const secret = "hunter2"
	for _, url := range []string{
		"redis://u:hunter2@h:1/x", "redis://:hunter2/x@h:1", "redis://u:hunter2@h:port", "redis://hunter2", "http://u:hunter2@h",
		"redis://h:1?password=hunter2&x=1", "redis://u:%zzhunter2@h",
	} {
		if _, err := parse(t, "serve", "--redis", url); err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("--redis %s: the error shows the password: %v", url, err)
		}
	}
	n := config.Bus{Redis: "redis://u:hunter2@h:1/2?password=hunter2"}
	if name := n.RedisName(); strings.Contains(name, secret) || !strings.Contains(name, "h:1/2") {
		t.Errorf("RedisName() = %q, want the host without the password", name)
	}
}

func TestArgsAreReadBack(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "socket.io.js"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--redis=redis://:secret@h:1", "--adapter=streams", "--path=/x", "--origins=https://a.example,https://*.b.example", "--credentials",
		"--transports=websocket", "--ping-interval=1500ms", "--recovery=2m", "--max-payload=2000", "--client-dir="+dir,
		"--drain-delay=1s", "--log-level=debug", "--log-format=json", "--addr=127.0.0.1:1", "--admin-addr=127.0.0.1:2",
		"--node-name=n", "--session-prefix=p", "--playground")
	args, err := s.Args()
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.Join(args, " "); strings.Contains(line, "secret") {
		t.Errorf("Args() = %s, which shows the password", line)
	}
	t.Setenv(config.RedisVariable, s.Redis)
	if got := serve(t, args[1:]...); !reflect.DeepEqual(got, s) {
		t.Errorf("read back from %q:\n%+v, want\n%+v", args, got, s)
	}
}

func TestAFlagIsNotBlamedOnTheFile(t *testing.T) {
	_, err := parse(t, "serve", "--ping-interval=25h", "--config", writeFile(t, "dunlin.yaml", "ping-interval: 25s"))
	if err == nil || strings.Contains(err.Error(), "dunlin.yaml") {
		t.Errorf("error %v, want one about the flag alone", err)
	}
}

func TestVersionIsAFlagToo(t *testing.T) {
	for _, args := range []string{"version", "--version", "serve --version", "--version serve"} {
		if command, err := parse(t, strings.Fields(args)...); err != nil {
			t.Errorf("dunlin %s: %v", args, err)
		} else if _, ok := command.(*config.Version); !ok {
			t.Errorf("dunlin %s is %T", args, command)
		}
	}
}
