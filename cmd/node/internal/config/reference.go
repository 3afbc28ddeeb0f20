package config

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Reference returns Markdown tables of the options of serve, and of those of
// dev that serve does not have.
func Reference() (serve, dev string, err error) {
	parser, err := newParser(new(commands))
	if err != nil {
		return "", "", err
	}
	var tables [2]strings.Builder
	shared := make(map[string]string) // name → row
	for i, command := range parser.Model.Children[:2] {
		fmt.Fprint(&tables[i], "| flag | environment | default | meaning |\n| --- | --- | --- | --- |\n")
		for _, flag := range command.Flags {
			row := row(flag)
			if flag.Hidden || flag.Name == "help" || i == 1 && shared[flag.Name] == row {
				continue
			}
			shared[flag.Name] = row
			tables[i].WriteString(row)
		}
	}
	return tables[0].String(), tables[1].String(), nil
}

func row(flag *kong.Flag) string {
	name := "--" + flag.Name
	switch {
	case flag.Tag.Negatable != "":
		name = "--[no-]" + flag.Name
	case !flag.IsBool():
		name += " " + flag.FormatPlaceHolder()
		if flag.PlaceHolder == "" {
			name = "--" + flag.Name
		}
	}
	def := ""
	if flag.Default != "" {
		def = "`" + flag.Default + "`"
	}
	return fmt.Sprintf("| `%s` | `%s` | %s | %s |\n", name, strings.Join(flag.Tag.Envs, "`, `"), def, strings.ReplaceAll(flag.Help, "|", `\|`))
}
