package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// File is the path of a configuration file. JSON is read as the YAML that it
// is.
type File string

// maxFile bounds what is read: a configuration has some dozens of short lines.
const maxFile = 1 << 20

// setting is a value in a file, as it would stand on the command line.
type setting struct {
	text string
	at   string // file and line
}

// sources tells where in a file the values of flags came from, by their names.
type sources map[string]string

// locate adds the place in the file to errors about flags.
func (s sources) locate(err error) error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, err := range joined.Unwrap() {
			errs = append(errs, s.locate(err))
		}
		return errors.Join(errs...)
	}
	flag, _, _ := strings.Cut(err.Error(), ":")
	if at, ok := s[strings.TrimPrefix(flag, "--")]; ok {
		return fmt.Errorf("%s: %w", at, err)
	}
	return err
}

// BeforeResolve is called by kong when the flag or its variable is set; it
// gives the file's values to the flags that are not, and notes where they are
// from.
func (File) BeforeResolve(ctx *kong.Context, trace *kong.Path, from sources) error {
	path, _ := ctx.FlagValue(trace.Flag).(File)
	if path == "" {
		return nil
	}
	flags := ctx.Flags()
	if ctx.Selected().Name == "emit" { // which reads the file of the nodes
		for _, command := range ctx.Model.Children {
			flags = append(flags, command.Flags...)
		}
	}
	values, err := readFile(string(path), flags)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Tag.Envs {
			if os.Getenv(name) != "" {
				return nil, nil // the environment has set it
			}
		}
		value, ok := values[flag.Name]
		if !ok {
			return nil, nil
		}
		from[flag.Name] = value.at
		return value.text, nil
	}))
	return nil
}

// readFile returns the file's values by the names of flags.
func readFile(path string, flags []*kong.Flag) (map[string]setting, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes: a configuration has at most %d", path, info.Size(), maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s is neither YAML nor JSON: %w", path, err)
	}
	if document.Kind == 0 {
		return nil, nil // an empty file
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: want a list of options, such as \"ping-interval: 25s\"", path, root.Line)
	}
	var known []string
	for _, flag := range flags {
		if !flag.Hidden && flag.Name != "help" && flag.Name != "config" {
			known = append(known, flag.Name)
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	values := make(map[string]setting)
	var errs []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if !slices.Contains(known, key.Value) {
			errs = append(errs, fmt.Errorf("%s:%d: unknown key %q: the keys are %s", path, key.Line, key.Value, strings.Join(known, ", ")))
			continue
		}
		text, set, err := flagText(value)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %s: %w", path, value.Line, key.Value, err))
		}
		if set {
			values[key.Value] = setting{text, fmt.Sprintf("%s:%d", path, value.Line)}
		}
	}
	return values, errors.Join(errs...)
}

// flagText writes a value as a flag's argument. An empty or null one is unset.
func flagText(value *yaml.Node) (text string, set bool, err error) {
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	switch value.Kind {
	case yaml.ScalarNode:
		return value.Value, value.Tag != "!!null" && value.Value != "", nil
	case yaml.SequenceNode:
		var items []string
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				return "", false, errors.New("want a list of plain values, such as [polling, websocket]")
			}
			items = append(items, item.Value)
		}
		return kong.JoinEscaped(items, ','), len(items) > 0, nil
	default:
		return "", false, errors.New("want a plain value or a list of them")
	}
}
