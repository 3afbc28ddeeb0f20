package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
)

// Args returns the command line of s, without the name of the program, which
// Parse would read as s in an environment without variables of ours. It leaves
// --redis out: other users of the machine can see a command line. Give that as
// RedisVariable.
func (s *Serve) Args() ([]string, error) {
	c := commands{Serve: *s}
	c.Serve.Config, c.Serve.Redis = "", "" // what the file said is in s
	parser, err := newParser(&c)
	if err != nil {
		return nil, err
	}
	args := []string{"serve"}
	for _, flag := range parser.Model.Children[0].Flags {
		if flag.Name == "help" {
			continue
		}
		text, err := flagValue(flag.Target)
		if err != nil {
			return nil, fmt.Errorf("write --%s: %w", flag.Name, err)
		}
		switch {
		case text == flag.Default, flag.IsBool() && text == "false":
		case flag.IsBool():
			args = append(args, "--"+flag.Name)
		default:
			args = append(args, "--"+flag.Name+"="+text)
		}
	}
	return args, nil
}

// RedisVariable is the environment variable of --redis.
const RedisVariable = envPrefix + "_REDIS"

func flagValue(v reflect.Value) (string, error) {
	switch x := v.Interface().(type) {
	case string:
		return x, nil
	case File:
		return string(x), nil
	case []string:
		return kong.JoinEscaped(x, ','), nil
	case bool:
		return strconv.FormatBool(x), nil
	case int:
		return strconv.Itoa(x), nil
	case time.Duration:
		return x.String(), nil
	case redisadapter.Mode:
		return x.String(), nil
	case slog.Level:
		return strings.ToLower(x.String()), nil
	}
	return "", fmt.Errorf("options of type %v are not known here", v.Type())
}
