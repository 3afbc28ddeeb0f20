package main

import (
	"fmt"
	"path"
	"strings"
)

const compatibilityHead = `<!-- Made by tools/compat from rows.txt, differences.txt and the tests. Do not edit. -->

# Compatibility

What of Socket.IO is here, and where Dunlin decides otherwise than the JavaScript server. Each "yes" is proved by the tests beside it, which say so in their comments; CI fails when one of them did not run and pass. Which clients were tried is in [clients.md](clients.md).

"Part" and "no" say what is missing. What is planned is not promised for a date.
`

const differencesHead = `
## Differences from the JavaScript server

Where the JavaScript server surprises, loses something or trusts too much, Dunlin does something else. "Otherwise" is what brings the other behaviour, where there is such a thing. Where no test is named, none holds us to it yet.

Compared with socket.io 4.8.4, engine.io 6.6.12, socket.io-parser 4.2.7 and @socket.io/redis-adapter 8.3.0.
`

// compatibilityPage writes docs/compatibility.md.
func compatibilityPage(rows []section[row], differences []section[difference], tests []test) string {
	var b strings.Builder
	b.WriteString(compatibilityHead)
	count := make(map[string]int)
	total := 0
	for _, s := range rows {
		for _, r := range s.items {
			count[r.state]++
			total++
		}
	}
	fmt.Fprintf(&b, "\nOf %d rows %d are yes, %d part, and %d no.\n", total, count["yes"], count["part"], count["no"])
	for _, s := range rows {
		fmt.Fprintf(&b, "\n## %s\n\n| row | feature | state | tests |\n|---|---|---|---|\n", s.title)
		for _, r := range s.items {
			state := "**" + r.state + "**"
			if r.note != "" {
				state += ": " + r.note
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.id, r.title, state, links(provers(tests, r.id)))
		}
	}
	b.WriteString(differencesHead)
	for _, s := range differences {
		fmt.Fprintf(&b, "\n### %s\n\n| | JavaScript | Dunlin | why | otherwise | tests |\n|---|---|---|---|---|---|\n", s.title)
		for _, d := range s.items {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", d.id, d.js, d.ours, d.why, d.option, links(provers(tests, d.id)))
		}
	}
	return b.String()
}

// links names tests, each linked to its file.
func links(tests []test) string {
	var out []string
	for _, t := range tests {
		name := t.name
		if path.Ext(t.file) == ".mjs" {
			name = "client " + name
			if strings.HasPrefix(t.file, interopDir+"/cases/") {
				name = "cluster " + t.name
			}
			name = strings.ReplaceAll(name, "|", `\|`)
		}
		out = append(out, fmt.Sprintf("[%s](../%s)", name, t.file))
	}
	return strings.Join(out, ", ")
}
