package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
)

const envPrefix = "DUNLIN"

type commands struct {
	Serve    Serve    `cmd:"" help:"Run one node."`
	Dev      Dev      `cmd:"" help:"Run a whole cluster on this machine: Redis, nodes, a front door and the demo page."`
	Emit     Emit     `cmd:"" help:"Emit an event to the clients of a cluster, or move or disconnect them."`
	Bench    Bench    `cmd:"" help:"Measure a Socket.IO server from outside, and check what it delivers."`
	DevRedis DevRedis `cmd:"" hidden:"" help:"Run the embedded Redis of dev."`
	Version  Version  `cmd:"" help:"Print the version."`

	PrintVersion bool `name:"version" help:"Print the version." env:"-"` // read by Parse
}

// Parse reads args, without the name of the program, and the environment. Help
// that is asked for goes to stdout and ends the process. The error names every
// option that is wrong and says how to mend it.
func Parse(args []string, stdout, stderr io.Writer) (Command, error) {
	if err := unsetEmpty(); err != nil {
		return nil, err
	}
	var c commands
	from := make(sources)
	parser, err := newParser(&c, kong.Writers(stdout, stderr), kong.Bind(from))
	if err != nil {
		return nil, err
	}
	if len(args) > 0 && args[0] == "--version" { // kong wants a command beside it
		args = []string{"version"}
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		// kong's own type says no more than the error in it.
		if parse := (*kong.ParseError)(nil); errors.As(err, &parse) {
			err = parse.Unwrap()
		}
		return nil, from.locate(hint(err))
	}
	if c.PrintVersion {
		return &c.Version, nil
	}
	var command interface {
		Command
		check() error
	}
	switch ctx.Selected().Name {
	case "serve":
		command = &c.Serve
	case "dev":
		command = &c.Dev
	case "emit":
		command = &c.Emit
	case "bench":
		command = &c.Bench
	case "dev-redis":
		return &c.DevRedis, nil
	default:
		return &c.Version, nil
	}
	return command, from.locate(command.check())
}

func newParser(c *commands, options ...kong.Option) (*kong.Kong, error) {
	options = append([]kong.Option{kong.Bind(sources{})}, options...)
	return kong.New(c, append(options,
		kong.Name("dunlin"),
		kong.Description("A Socket.IO server that scales over many nodes. Options come from flags, then the environment, then --config."),
		kong.DefaultEnvars(envPrefix),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(decodeDuration)),
		kong.TypeMapper(reflect.TypeFor[int](), kong.MapperFunc(decodeInt)),
		kong.TypeMapper(reflect.TypeFor[slog.Level](), kong.MapperFunc(decodeLevel)),
		kong.TypeMapper(reflect.TypeFor[redisadapter.Mode](), kong.MapperFunc(decodeMode)),
	)...)
}

// decodeDuration wants a unit: a bare number is seconds to one reader and
// milliseconds to the next.
func decodeDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a duration: write a number and a unit, such as 25s, 500ms or 1m30s", text)
	}
	target.SetInt(int64(d))
	return nil
}

func decodeInt(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("number", &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is not a whole number: write it in digits, such as 1000000", text)
	}
	target.SetInt(int64(n))
	return nil
}

func decodeLevel(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("level", &text); err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("%q is not a level: use debug, info, warn or error", text)
	}
	target.SetInt(int64(level))
	return nil
}

func decodeMode(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("adapter", &text); err != nil {
		return err
	}
	mode, err := redisadapter.ParseMode(text)
	if err != nil {
		return fmt.Errorf("%q is unknown: use classic, sharded or streams", text)
	}
	target.Set(reflect.ValueOf(mode))
	return nil
}

// unsetEmpty removes our variables that are empty, as templates of deployments
// leave them: an empty variable is an unset one.
func unsetEmpty() error {
	for _, name := range environment() {
		if os.Getenv(name) == "" {
			if err := os.Unsetenv(name); err != nil {
				return fmt.Errorf("unset the empty variable %s: %w", name, err)
			}
		}
	}
	return nil
}

// environment returns the names of the variables with our prefix.
func environment() []string {
	var names []string
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, envPrefix+"_") {
			names = append(names, name)
		}
	}
	return names
}

// Unknown is an environment variable that has our prefix and that no option
// reads.
type Unknown struct {
	Name  string
	Meant string // most likely; empty: no idea
}

// UnknownEnvironment returns the variables that are most likely misspelled.
func UnknownEnvironment() []Unknown {
	parser, err := newParser(new(commands))
	if err != nil {
		return nil
	}
	var known []string
	for _, command := range parser.Model.Children {
		for _, flag := range command.Flags {
			known = append(known, flag.Tag.Envs...)
		}
	}
	var unknown []Unknown
	for _, name := range environment() {
		if !slices.Contains(known, name) {
			unknown = append(unknown, Unknown{name, meant(name, known)})
		}
	}
	return unknown
}
