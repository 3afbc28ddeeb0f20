package engineio

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// admitOrigin applies the one origin policy, to polling and upgrades alike. Browsers check neither for WebSockets, so
// without it a page of another site could open a session with the cookies of its visitor.
func (c *Config) admitOrigin(r *http.Request) *Error {
	origins := r.Header["Origin"]
	switch {
	case len(origins) == 0:
		return nil // not a browser, or a same-origin GET
	case len(origins) > 1:
		return refuse(CodeForbidden, "more than one Origin")
	case c.AllowAnyOrigin, sameHost(origins[0], r.Host), c.CORS.allows(origins[0]):
		return nil
	}
	return refuse(CodeForbidden, "origin "+origins[0]+" refused: add it to CORS.Origins")
}

// sameHost reports whether origin is a page of host, over whatever scheme: a proxy may have ended TLS before us.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return false
	}
	var port string
	switch strings.ToLower(u.Scheme) {
	case "http":
		port = "80"
	case "https":
		port = "443"
	default:
		return false
	}
	return splitHost(u.Host, port) == splitHost(host, port)
}

// hostPort is a host in lower case and a port.
type hostPort struct{ host, port string }

func splitHost(hostport, defaultPort string) hostPort {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]"), ""
	}
	if port == "" {
		port = defaultPort
	}
	return hostPort{strings.ToLower(host), port}
}
