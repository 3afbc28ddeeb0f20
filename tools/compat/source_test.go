package main

import (
	"strings"
	"testing"
)

func TestSourcesAreComplete(t *testing.T) {
	rows, err := parseRows(rowsText)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range rows {
		n += len(s.items)
	}
	// The survey of servers that the rows come from has as many.
	if want := 109; n != want {
		t.Errorf("%d rows, want %d", n, want)
	}
	if _, err := parseDifferences(differencesText); err != nil {
		t.Error(err)
	}
}

func TestBrokenRowsAreErrors(t *testing.T) {
	for line, want := range map[string]string{
		"T-02 | yes | fine":             "",
		"T-02 | part | fine | but":      "",
		"# a comment":                   "",
		"T-02 | part | bad":             "does not say what is missing",
		"T-02 | no | bad |":             "does not say what is missing",
		"T-02 | maybe | bad | x":        `state "maybe"`,
		"T-02 | yes | | x":              "has no title",
		"T-02 | yes":                    "want a section",
		"T-02 | yes | a | b | c":        "want a section",
		"T-01 | yes | again":            "T-01 comes after T-01",
		"E-02 | yes | bad":              `"E-02" is no id`,
		"T-2 | yes | bad":               `"T-2" is no id`,
		"T-03 | yes | x\nT-02 | yes |y": "T-02 comes after T-03",
	} {
		_, err := parseRows("= S\nT-01 | yes | one\n" + line + "\n")
		expectError(t, line, err, want)
	}
	_, err := parseRows("T-01 | yes | one\n")
	expectError(t, "no section", err, "rows.txt:1")
}

func TestBrokenDifferencesAreErrors(t *testing.T) {
	const fine = "js: a\ndunlin: b\nwhy: c\n"
	for text, want := range map[string]string{
		"J-01\n" + fine:                            "",
		"J-01\n" + fine + "option: d\n":            "",
		"J-01\n" + fine + "J-02\n" + fine:          "",
		"J-01\njs: a\nwhy: c\n":                    "J-01 wants js, dunlin and why",
		"J-01\njs: a\n= T\nJ-02\n" + fine:          "J-01 wants",
		"J-01\n" + fine + "why: again\n":           "comes twice",
		"J-01\n" + fine + "because: d\n":           "not understood",
		"J-01\njs: a | b\ndunlin: b\nwhy: c\n":     "not understood",
		"J-01\njs:\ndunlin: b\nwhy: c\n":           "not understood",
		"J-02\n" + fine + "J-01\n" + fine:          "J-01 comes after J-02",
		"J-01\n" + fine + "J-01\n" + fine:          "J-01 comes after J-01",
		fine:                                       "not understood",
		"J-1\n" + fine:                             "not understood",
		strings.Replace("J-01\n"+fine, "b", "", 1): "not understood",
	} {
		_, err := parseDifferences("= S\n" + text)
		expectError(t, text, err, want)
	}
}
