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

// BeforeResolve is called by kong when the flag or its variable is set; it
// gives the file's values to the flags that are not.
func (File) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path, _ := ctx.FlagValue(trace.Flag).(File)
	if path == "" {
		return nil
	}
	values, err := readFile(string(path), ctx.Flags())
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Tag.Envs {
			if os.Getenv(name) != "" {
				return nil, nil // the environment has set it
			}
		}
		if text, ok := values[flag.Name]; ok {
			return text, nil
		}
		return nil, nil
	}))
	return nil
}

// readFile returns the file's values as they would stand on the command line.
func readFile(path string, flags []*kong.Flag) (map[string]string, error) {
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
	values := make(map[string]string)
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
			values[key.Value] = text
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
