package engineio

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS says which pages of other origins may use the server, and what their browsers are told.
type CORS struct {
	// Origins that are allowed: exact ("https://app.example.com", "null"), with one '*' for any part of the host or the
	// port ("https://*.example.com", "http://localhost:*"), or "*" for every origin.
	Origins []string
	// AllowOrigin is asked about origins that Origins does not hold.
	AllowOrigin func(origin string) bool
	// Methods for preflights. GET, HEAD, PUT, PATCH, POST, DELETE
	Methods []string
	// AllowedHeaders for preflights. Those that are asked for
	AllowedHeaders []string
	// ExposedHeaders that scripts may read. None
	ExposedHeaders []string
	// Credentials lets browsers send cookies. It cannot be combined with the origin "*".
	Credentials bool
	// MaxAge for which a browser may remember a preflight, in whole seconds. Not said
	MaxAge time.Duration
}

func (c *CORS) check() error {
	if c == nil {
		return nil
	}
	if len(c.Origins) == 0 && c.AllowOrigin == nil {
		return errors.New("no origin is allowed: set Origins or AllowOrigin, or leave CORS nil")
	}
	for _, o := range c.Origins {
		switch {
		case o == "*" && c.Credentials:
			return errors.New(`Origins "*" with Credentials would let every site act for its visitors: list the origins`)
		case o == "*", o == "null":
		case strings.Count(o, "*") > 1:
			return fmt.Errorf("origin %q has more than one *", o)
		case !strings.Contains(o, "://") || strings.Count(o, "/") != 2:
			return fmt.Errorf("origin %q is not of the form scheme://host[:port]", o)
		}
	}
	for _, list := range [][]string{c.Methods, c.AllowedHeaders, c.ExposedHeaders} {
		for _, v := range list {
			if strings.ContainsAny(v, "\r\n,") || v == "" {
				return fmt.Errorf("header value %q is not a token", v)
			}
		}
	}
	if c.MaxAge < 0 {
		return fmt.Errorf("MaxAge is %v: use 0 to leave it out", c.MaxAge)
	}
	return nil
}

// allows reports whether origin is allowed. A nil CORS allows none.
func (c *CORS) allows(origin string) bool {
	if c == nil {
		return false
	}
	for _, pattern := range c.Origins {
		if matchOrigin(strings.ToLower(pattern), strings.ToLower(origin)) {
			return true
		}
	}
	return c.AllowOrigin != nil && c.AllowOrigin(origin)
}

// matchOrigin lets a star stand for characters of a host name or port only, so that it cannot reach over a slash, an @
// or a colon into another part of the origin.
func matchOrigin(pattern, origin string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == origin
	}
	if before == "" && after == "" {
		return true
	}
	if len(origin) <= len(before)+len(after) || !strings.HasPrefix(origin, before) || !strings.HasSuffix(origin, after) {
		return false
	}
	for _, c := range origin[len(before) : len(origin)-len(after)] {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// any reports whether every origin is allowed, so that responses need not vary.
func (c *CORS) any() bool {
	return slices.Contains(c.Origins, "*")
}

// decorate sets the header of an actual response.
func (c *CORS) decorate(h http.Header, r *http.Request) {
	if c == nil {
		return
	}
	origin := r.Header.Get("Origin")
	switch {
	case c.any():
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		h.Add("Vary", "Origin")
		if origin == "" || !c.allows(origin) {
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
	}
	if c.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if len(c.ExposedHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(c.ExposedHeaders, ","))
	}
}

// preflight answers an OPTIONS request. decorate has been called.
func (c *CORS) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	methods := "GET,HEAD,PUT,PATCH,POST,DELETE"
	if len(c.Methods) > 0 {
		methods = strings.Join(c.Methods, ",")
	}
	h.Set("Access-Control-Allow-Methods", methods)
	if len(c.AllowedHeaders) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(c.AllowedHeaders, ","))
	} else {
		h.Add("Vary", "Access-Control-Request-Headers")
		if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
			h.Set("Access-Control-Allow-Headers", asked)
		}
	}
	if c.MaxAge > 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(c.MaxAge.Seconds())))
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusNoContent)
}
