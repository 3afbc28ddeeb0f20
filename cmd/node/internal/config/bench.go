package config

import (
	"net/url"
	"strings"
	"time"
)

// Bounds of a load: what one process drives with a goroutine for each client.
const (
	maxClients  = 10_000
	maxInFlight = 1_000
	maxRate     = 1_000_000
	minSize     = 80 // a payload says who sent it and when
	maxSize     = 1 << 20
)

func (b *Bench) check() error {
	var p problems
	if len(b.URLs) == 0 {
		b.URLs = []string{"http://127.0.0.1:3000"}
	}
	for i, text := range b.URLs {
		b.URLs[i] = p.server(text)
	}
	p.count("--clients", b.Clients, 1, maxClients)
	p.count("--in-flight", b.InFlight, 0, maxInFlight)
	p.count("--rate", b.Rate, 0, maxRate)
	p.count("--size", b.Size, minSize, maxSize)
	p.duration("--duration", b.Duration, time.Millisecond)
	p.duration("--warmup", b.Warmup, 0)
	p.duration("--timeout", b.Timeout, time.Millisecond)
	if !plainPath.MatchString(b.Path) {
		p.add("--path: %q: begin with a slash, such as /socket.io/", b.Path)
	} else {
		b.Path = strings.TrimSuffix(b.Path, "/") + "/"
	}
	if !strings.HasPrefix(b.Namespace, "/") {
		b.Namespace = "/" + b.Namespace
	}
	if strings.Contains(b.Namespace, ",") {
		p.add("--namespace: %q: a comma ends its name on the wire", b.Namespace)
	}
	b.checkScenario(&p)
	return p.err()
}

func (b *Bench) checkScenario(p *problems) {
	if b.InFlight > 0 && b.Rate > 0 {
		p.add("--in-flight, --rate: messages leave when others have arrived, or at fixed times: leave one of them out")
	}
	switch b.Scenario {
	case "connect":
		if b.InFlight > 0 {
			p.add("--in-flight: connect sends nothing: --clients says how many connect at once")
		}
	case "idle":
		if b.InFlight > 0 || b.Rate > 0 {
			p.add("--in-flight, --rate: idle sends nothing: leave them out")
		}
	case "rooms":
		p.count("--rooms", b.Rooms, 1, max(1, b.Clients/len(b.URLs))) // each with a member at every address
	case "cluster":
		if len(b.URLs) < 2 {
			p.add("cluster: give the address of each node, such as http://127.0.0.1:3001 http://127.0.0.1:3002")
		}
	}
	if b.Clients < len(b.URLs) {
		p.add("--clients: %d: there must be one for each of the %d addresses", b.Clients, len(b.URLs))
	}
}

// server returns the address of a server, in short.
func (p *problems) server(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		p.add("%q: write scheme://host:port, such as http://127.0.0.1:3000; a path goes to --path", text)
		return text
	}
	return u.Scheme + "://" + u.Host
}

func (p *problems) count(flag string, n, low, high int) {
	if n < low || n > high {
		p.add("%s: %d: use %d to %d", flag, n, low, high)
	}
}
