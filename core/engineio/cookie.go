package engineio

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Cookie says how the session id is set as a cookie, on the first polling response of a session. WebSocket handshakes
// never set it.
type Cookie struct {
	Name     string        // "io"
	Path     string        // "/"
	NoPath   bool          // leave Path out, so that the cookie belongs to the request's own folder
	Domain   string        // none
	MaxAge   time.Duration // none: until the browser ends
	Expires  time.Time     // none
	SameSite http.SameSite // Lax
	Priority string        // none; "Low", "Medium" or "High"

	Secure      bool
	Partitioned bool // needs Secure
	// ScriptAccess leaves HttpOnly out.
	ScriptAccess bool
}

func (c *Cookie) check() error {
	if c == nil {
		return nil
	}
	if c.MaxAge < 0 {
		return fmt.Errorf("MaxAge is %v: use 0 for none", c.MaxAge)
	}
	switch strings.ToLower(c.Priority) {
	case "", "low", "medium", "high":
	default:
		return fmt.Errorf("Priority is %q: use Low, Medium or High", c.Priority)
	}
	if c.Partitioned && !c.Secure {
		return errors.New("Partitioned needs Secure")
	}
	if err := c.with("id").Valid(); err != nil {
		return fmt.Errorf("invalid value: %w", err)
	}
	return nil
}

func (c *Cookie) with(id string) *http.Cookie {
	k := &http.Cookie{
		Name: c.Name, Value: id, Path: c.Path, Domain: c.Domain, Expires: c.Expires, SameSite: c.SameSite,
		MaxAge: int(c.MaxAge.Seconds()), Secure: c.Secure, HttpOnly: !c.ScriptAccess, Partitioned: c.Partitioned,
	}
	if k.Name == "" {
		k.Name = "io"
	}
	if k.Path == "" && !c.NoPath {
		k.Path = "/"
	}
	if k.SameSite == 0 {
		k.SameSite = http.SameSiteLaxMode
	}
	return k
}

// set adds the cookie to h.
func (c *Cookie) set(h http.Header, id string) {
	if c == nil {
		return
	}
	v := c.with(id).String()
	if c.Priority != "" {
		v += "; Priority=" + c.Priority
	}
	h.Add("Set-Cookie", v)
}
