package config

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Reference returns Markdown tables of the options of serve, and of those of
// the other commands that serve does not have, by command.
func Reference() (map[string]string, error) {
	parser, err := newParser(new(commands))
	if err != nil {
		return nil, err
	}
	tables := make(map[string]string)
	shared := make(map[string]string) // name → row
	for _, command := range parser.Model.Children {
		if command.Hidden || command.Name == "version" {
			continue
		}
		var table strings.Builder
		table.WriteString("| flag | environment | default | meaning |\n| --- | --- | --- | --- |\n")
		for _, flag := range command.Flags {
			row := row(flag)
			if flag.Hidden || flag.Name == "help" || shared[flag.Name] == row {
				continue
			}
			if command.Name == "serve" {
				shared[flag.Name] = row
			}
			table.WriteString(row)
		}
		tables[command.Name] = table.String()
	}
	return tables, nil
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
	return fmt.Sprintf("| %s | %s | %s | %s |\n",
		code(name), code(strings.Join(flag.Tag.Envs, "`, `")), code(flag.Default), strings.ReplaceAll(flag.Help, "|", `\|`))
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
