package config

import (
	"errors"
	"net/url"

	"github.com/redis/go-redis/v9"
)

// RedisOptions are those of a client for --redis.
func (b *Bus) RedisOptions() (*redis.Options, error) {
	u, err := url.Parse(b.Redis)
	if err == nil {
		switch u.Scheme {
		case "redis", "rediss", "unix":
		default:
			return nil, errors.New("the scheme is unknown: write redis://, rediss:// or unix://")
		}
		var options *redis.Options
		if options, err = redis.ParseURL(b.Redis); err == nil {
			return options, nil
		}
	}
	// What the parsers say may quote a part of the password.
	return nil, errors.New("it cannot be read: write redis://[user:password@]host:port[/database], " +
		"or unix://[user:password@]/path, with special characters of the password percent-encoded")
}

// RedisName is the URL of --redis without its password.
func (b *Bus) RedisName() string {
	u, err := url.Parse(b.Redis)
	if err != nil {
		return "?"
	}
	u.RawQuery = "" // credentials can stand there, too
	return u.Redacted()
}
