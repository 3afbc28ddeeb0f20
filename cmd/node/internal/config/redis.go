package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	redisPort    = "6379"
	sentinelPort = "26379"
)

// redisForms are what --redis may be, by scheme.
var redisForms = map[string]string{
	"redis":    "redis://[user:password@]host:port[/database]",
	"unix":     "unix://[user:password@]/path",
	"cluster":  "redis+cluster://[user:password@]host:port,host:port",
	"sentinel": "redis+sentinel://[user:password@]host:port,host:port/master-name[/database]",
}

// address is a URL of Redis in its parts. net/url reads no lists of hosts.
type address struct {
	form  string   // a key of redisForms
	tls   bool     // the scheme begins with rediss
	user  string   // with the password, still encoded, or empty
	hosts []string // as they are written
	rest  string   // path and query
}

// split takes a URL apart. Whatever cannot be read it leaves to the parsers.
func split(text string) (a address, ok bool) {
	scheme, rest, ok := strings.Cut(text, "://")
	base, form, _ := strings.Cut(strings.ToLower(scheme), "+")
	switch {
	case !ok, base != "redis" && base != "rediss" && (base != "unix" || form != ""):
		return a, false
	case base == "unix":
		form = "unix"
	case form == "":
		form = "redis"
	}
	if redisForms[form] == "" || strings.Contains(scheme, "+") && form != "cluster" && form != "sentinel" {
		return a, false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority := rest[:end]
	a = address{form: form, tls: base == "rediss", rest: rest[end:]}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		a.user, authority = authority[:at], authority[at+1:]
	}
	a.hosts = strings.Split(authority, ",")
	if a.form == "redis" && len(a.hosts) > 1 {
		a.form = "cluster"
	}
	return a, true
}

// RedisClient reads --redis and returns what makes a client of it: of one Redis,
// of the master that Sentinels name, or of a Redis Cluster. The client repeats
// nothing, since a publish that is repeated would arrive twice.
func (b *Bus) RedisClient() (open func() redis.UniversalClient, err error) {
	a, ok := split(b.Redis)
	if !ok {
		return nil, errors.New("the scheme is unknown: write redis://, rediss:// (TLS), unix://, redis+sentinel:// or redis+cluster://")
	}
	switch a.form {
	case "cluster":
		return a.cluster()
	case "sentinel":
		return a.sentinel()
	}
	o, err := redis.ParseURL(b.Redis)
	if err != nil {
		return nil, a.unreadable()
	}
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DisableIdentity, o.ContextTimeoutEnabled = true, true
	o.MaintNotificationsConfig = noNotifications()
	return func() redis.UniversalClient { return redis.NewClient(o) }, nil
}

func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// unreadable says how to write a URL. What the parsers say may quote a part of
// the password.
func (a *address) unreadable() error {
	form := redisForms[a.form]
	if a.form == "redis" {
		form += ", or " + redisForms["unix"]
	}
	return fmt.Errorf("it cannot be read: write %s, with special characters of the password percent-encoded", form)
}

// IsRedisCluster reports whether --redis names a Redis Cluster.
func (b *Bus) IsRedisCluster() bool {
	a, ok := split(b.Redis)
	return ok && a.form == "cluster"
}

func (a *address) cluster() (open func() redis.UniversalClient, err error) {
	u, query, err := a.url(redisPort)
	if err != nil {
		return nil, err
	}
	if u.Path != "" && u.Path != "/" {
		return nil, errors.New("a Redis Cluster has no databases: leave out what follows the hosts")
	}
	if err := masterOnly(query, "read_only"); err != nil {
		return nil, err
	}
	u.Path, u.RawQuery = "", query.Encode()
	o, err := redis.ParseClusterURL(u.String())
	if err != nil {
		return nil, a.unreadable()
	}
	if o.TLSConfig != nil {
		o.TLSConfig.ServerName = "" // each node has its own
	}
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DisableIdentity, o.ContextTimeoutEnabled = true, true
	o.MaintNotificationsConfig = noNotifications()
	return func() redis.UniversalClient { return redis.NewClusterClient(o) }, nil
}

func (a *address) sentinel() (open func() redis.UniversalClient, err error) {
	u, query, err := a.url(sentinelPort)
	if err != nil {
		return nil, err
	}
	master, database, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if master == "" {
		return nil, errors.New("the name of the master is missing: write it behind the hosts, as the Sentinels call it: " + redisForms["sentinel"])
	}
	if err := masterOnly(query, "replica_only", "use_disconnected_replicas"); err != nil {
		return nil, err
	}
	// The parser takes the user in front of the hosts for that of the Sentinels.
	query.Set("master_name", master)
	if u.User != nil {
		password, _ := u.User.Password()
		query.Set("username", u.User.Username())
		query.Set("password", password)
	}
	u.User = nil
	if password := query.Get("sentinel_password"); password != "" {
		u.User = url.UserPassword(query.Get("sentinel_username"), password)
	}
	query.Del("sentinel_username")
	query.Del("sentinel_password")
	u.Path, u.RawQuery = "/"+database, query.Encode()
	o, err := redis.ParseFailoverURL(u.String())
	if err != nil {
		return nil, a.unreadable()
	}
	if o.TLSConfig != nil {
		o.TLSConfig.ServerName = "" // each server has its own
	}
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DisableIdentity, o.ContextTimeoutEnabled = true, true
	return func() redis.UniversalClient { return redis.NewFailoverClient(o) }, nil
}

// url returns what the parsers of go-redis understand: the first host where
// hosts stand, the others as parameters.
func (a *address) url(port string) (*url.URL, url.Values, error) {
	hosts := make([]string, len(a.hosts))
	for i, host := range a.hosts {
		var err error
		if hosts[i], err = withPort(host, port); err != nil {
			// It is not shown: with a password that is not encoded it is a part of that.
			return nil, nil, fmt.Errorf("host %d of %d cannot be read: write %s, with special characters of the password percent-encoded",
				i+1, len(hosts), redisForms[a.form])
		}
	}
	text := "redis://"
	if a.tls {
		text = "rediss://"
	}
	if a.user != "" {
		text += a.user + "@"
	}
	u, err := url.Parse(text + hosts[0] + a.rest)
	if err != nil {
		return nil, nil, a.unreadable()
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || query.Has("addr") || query.Has("master_name") || u.Fragment != "" {
		return nil, nil, a.unreadable()
	}
	query["addr"] = hosts[1:]
	return u, query, nil
}

// withPort completes a host of a list.
func withPort(text, port string) (string, error) {
	host := text
	if h, p, err := net.SplitHostPort(text); err == nil {
		host, port = h, p
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		if strings.Contains(host, ":") && host == text {
			host = "" // an IPv6 address without brackets, or too many ports
		}
	}
	if n, err := strconv.Atoi(port); host == "" || strings.ContainsAny(host, " []%") || err != nil || n < 1 || n > math.MaxUint16 {
		return "", errors.New("want host or host:port")
	}
	return net.JoinHostPort(host, port), nil
}

// masterOnly refuses parameters that would have replicas asked, which are late.
func masterOnly(query url.Values, names ...string) error {
	for _, name := range append(names, "route_by_latency", "route_by_latency_tolerance", "route_randomly") {
		if query.Has(name) {
			return fmt.Errorf("%s: only masters can join nodes: leave it out", name)
		}
	}
	return nil
}

// RedisName is the URL of --redis without its password.
func (b *Bus) RedisName() string {
	a, ok := split(b.Redis)
	if !ok {
		return "?"
	}
	hosts := strings.Join(a.hosts, ",")
	for _, host := range a.hosts {
		if _, err := withPort(host, redisPort); err != nil && hosts != "" {
			return "?" // it may be a part of the password
		}
	}
	scheme, _, _ := strings.Cut(b.Redis, "://")
	if a.user != "" {
		scheme += "://" + a.user + "@"
	} else {
		scheme += "://"
	}
	u, err := url.Parse(scheme + "host" + a.rest)
	if err != nil {
		return "?"
	}
	u.Host, u.RawQuery, u.Fragment = hosts, "", "" // credentials can stand in the query, too
	return u.Redacted()
}
