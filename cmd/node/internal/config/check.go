package config

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
)

// problems collects what is wrong, so that all of it can be mended at once.
type problems []error

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

func (p problems) err() error { return errors.Join(p...) }

func (s *Serve) check() error {
	var p problems
	s.Node.check(&p)
	p.address("--addr", s.Addr)
	if len(s.BusSecretFile) > 0 && s.Redis == "" {
		p.add("--bus-secret-file: there is no bus to sign for: give --redis, too")
	}
	if s.AdminAddr != "" {
		p.address("--admin-addr", s.AdminAddr)
		if s.AdminAddr == s.Addr && !strings.HasSuffix(s.Addr, ":0") {
			p.add("--admin-addr: it is the same as --addr: choose another port")
		}
	}
	if s.NodeName == "" {
		s.NodeName = hostname()
	}
	p.name("--node-name", s.NodeName)
	if s.SessionPrefix != "" {
		p.name("--session-prefix", s.SessionPrefix)
	}
	switch {
	case s.TLSCert == "" && s.TLSKey == "":
	case s.TLSCert == "":
		p.add("--tls-key: there is no certificate: give --tls-cert too")
	case s.TLSKey == "":
		p.add("--tls-cert: there is no private key: give --tls-key too")
	default:
		if _, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey); err != nil {
			p.add("--tls-cert, --tls-key: %w: give a PEM certificate chain and the key that belongs to it", err)
		}
	}
	return p.err()
}

// maxDevNodes keeps a typing error from filling a machine with processes.
const maxDevNodes = 32

func (d *Dev) check() error {
	var p problems
	d.Node.check(&p)
	p.address("--addr", d.Addr)
	if d.Redis == "" && d.Adapter == redisadapter.Sharded {
		p.add("--adapter: the embedded Redis has no SPUBLISH: give --redis with the URL of a Redis 7 or later, or use classic or streams")
	}
	if d.Nodes < 1 || d.Nodes > maxDevNodes {
		p.add("--nodes: %d: use 1 to %d", d.Nodes, maxDevNodes)
	}
	return p.err()
}

// maxSecret keeps a wrong file from being taken for a secret.
const maxSecret = 4096

func (b *Bus) check(p *problems) {
	for _, path := range b.BusSecretFile {
		secret, err := readSecret(path)
		if err != nil {
			p.add("--bus-secret-file: %w", err)
		}
		b.BusSecrets = append(b.BusSecrets, secret)
	}
	if b.Redis == "" {
		return
	}
	if _, err := b.RedisClient(); err != nil {
		p.add("--redis: %w", err)
	}
	if b.Adapter == redisadapter.Sharded && b.IsRedisCluster() {
		p.add("--adapter: shard channels do not spread over a Redis Cluster yet: use classic or streams, or a single Redis")
	}
}

// readSecret returns what is in a file, without white space around it. It is in no
// error.
func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecret {
		return nil, fmt.Errorf("%s is no file of at most %d bytes: write a secret into one, as openssl rand -hex 32 prints it", path, maxSecret)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	secret := bytes.TrimSpace(text)
	if len(secret) < minSecret {
		return nil, fmt.Errorf("%s has a secret of %d characters: use at least %d random ones, as openssl rand -hex 32 prints them", path, len(secret), minSecret)
	}
	return secret, nil
}

const minSecret = 16

func (n *Node) check(p *problems) {
	n.Bus.check(p)
	n.checkClients(p)
	p.duration("--ping-interval", n.PingInterval, time.Millisecond)
	p.duration("--ping-timeout", n.PingTimeout, time.Millisecond)
	p.duration("--upgrade-timeout", n.UpgradeTimeout, time.Millisecond)
	p.duration("--connect-timeout", n.ConnectTimeout, time.Millisecond)
	p.duration("--request-timeout", n.RequestTimeout, time.Millisecond)
	p.duration("--recovery", n.Recovery, 0)
	p.duration("--drain-delay", n.DrainDelay, 0)
	p.duration("--shutdown-timeout", n.ShutdownTimeout, time.Millisecond)
	p.size("--max-payload", n.MaxPayload)
	p.size("--max-pending", n.MaxPending)
	if n.LogFormat != "text" && n.LogFormat != "json" {
		p.add("--log-format: %q is unknown: use text or json", n.LogFormat)
	}
}

// plainPath is what needs no escaping in a URL or in a pattern of ServeMux.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+/?$`)

// checkClients checks what clients may do.
func (n *Node) checkClients(p *problems) {
	if !plainPath.MatchString(n.Path) {
		p.add("--path: %q: begin with a slash and use letters, digits, '.', '_', '~' and '-' between slashes, such as /socket.io/", n.Path)
	} else {
		n.Path = strings.TrimSuffix(n.Path, "/") + "/"
		if slices.Contains([]string{"/livez/", "/readyz/", "/playground/"}, n.Path) {
			p.add("--path: %s has another use: choose one such as /socket.io/", n.Path)
		}
	}
	for _, origin := range n.Origins {
		switch {
		case origin == "*":
			p.add("--origins: to let in the pages of every origin say so with --allow-any-origin")
		case origin == "null": // pages from files and sandboxed frames
		case strings.Count(origin, "*") > 1 || !strings.Contains(origin, "://") || strings.Count(origin, "/") != 2:
			p.add("--origins: %q: write scheme://host[:port], with at most one *, such as https://*.example.com", origin)
		}
	}
	switch {
	case n.AllowAnyOrigin && len(n.Origins) > 0:
		p.add("--allow-any-origin: it makes --origins pointless: leave one of them out")
	case n.Credentials && n.AllowAnyOrigin:
		p.add("--credentials: with --allow-any-origin every site could act for its visitors: list --origins instead")
	case n.Credentials && len(n.Origins) == 0:
		p.add("--credentials: it concerns the pages of --origins: list them")
	}
	if len(n.Transports) == 0 {
		p.add("--transports: none is left: use polling, websocket or both")
	}
	for _, t := range n.Transports {
		if !slices.Contains([]string{"polling", "websocket"}, t) {
			p.add("--transports: %q is unknown: use polling, websocket or both", t)
		}
	}
	if n.ClientDir != "" {
		if _, err := os.Stat(filepath.Join(n.ClientDir, "socket.io.js")); err != nil {
			p.add("--client-dir: %w: give the folder socket.io-client/dist or socket.io/client-dist of an npm installation", err)
		}
	}
}

func (p *problems) address(flag, addr string) {
	_, port, err := net.SplitHostPort(addr)
	switch n, notNumber := strconv.Atoi(port); {
	case err != nil || port == "":
		p.add("%s: %q: write host:port, such as 127.0.0.1:3000, or :3000 for all interfaces", flag, addr)
	case notNumber != nil || n < 0 || n > math.MaxUint16:
		p.add("%s: %q: port %s: use a number from 0 to %d; 0 chooses a free port", flag, addr, port, math.MaxUint16)
	}
}

// name wants what can stand in a channel, a URL and a log line.
func (p *problems) name(flag, name string) {
	if !namePattern.MatchString(name) {
		p.add("%s: %q: use 1 to 64 letters, digits, '-' and '_'", flag, name)
	}
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// hostname returns the host's name without its domain.
func hostname() string {
	name, err := os.Hostname()
	name, _, _ = strings.Cut(name, ".")
	if err != nil || !namePattern.MatchString(name) {
		return "node"
	}
	return name
}

func (p *problems) duration(flag string, d, low time.Duration) {
	const high = 24 * time.Hour
	if d < low || d > high {
		p.add("%s: %v: use %v to %v", flag, d, low, high)
	}
}

func (p *problems) size(flag string, n int) {
	const low, high = 1 << 10, 1 << 30
	if n < low || n > high {
		p.add("%s: %d: use %d to %d bytes", flag, n, low, high)
	}
}
