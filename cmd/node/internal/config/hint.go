package config

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

// elsewhere are names that other programs have for our flags.
var elsewhere = map[string]string{
	"port": "addr", "p": "addr", "host": "addr", "listen": "addr", "bind": "addr", "address": "addr",
	"cors": "origins", "cors-origin": "origins", "cors-origins": "origins", "origin": "origins", "allow-origin": "origins",
	"allow-origins": "origins", "allowed-origins": "origins",
	"redis-url": "redis", "redis-addr": "redis", "redis-host": "redis",
	"mode": "adapter", "file": "config", "name": "node-name",
	"nsp": "namespace", "ns": "namespace", "to": "room", "in": "room", "rooms": "room",
}

// example shows how a flag is written, where its name alone does not help.
var example = map[string]string{
	"addr":    "--addr=127.0.0.1:3000",
	"origins": "--origins=https://app.example.com",
	"redis":   "--redis=redis://127.0.0.1:6379",
}

var unknownFlag = regexp.MustCompile(`^unknown flag --?([A-Za-z0-9-]+)`)

// hint says what to write instead of a flag that does not exist.
func hint(err error) error {
	m := unknownFlag.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	name := m[1]
	switch {
	case name == "nodes":
		return fmt.Errorf("%s: serve runs one node: start it once for each, with the same --redis, or use dunlin dev --nodes", m[0])
	case name[0] >= '0' && name[0] <= '9':
		return fmt.Errorf("%s: if it is an argument, write -- before the event: dunlin emit -- score %s", m[0], strings.TrimPrefix(m[0], "unknown flag "))
	case elsewhere[name] != "":
		flag := elsewhere[name]
		if example[flag] != "" {
			return fmt.Errorf("%s, did you mean --%s, such as %s?", m[0], flag, example[flag])
		}
		return fmt.Errorf("%s, did you mean --%s?", m[0], flag)
	}
	return err
}

// meant returns the one of the known variables that somebody who wrote name most
// likely had in mind, or none.
func meant(name string, known []string) string {
	flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix+"_"), "_", "-"))
	if ours := elsewhere[flag]; ours != "" {
		name = envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(ours, "-", "_"))
	}
	const most = 2 // typing errors
	best, least := "", math.MaxInt
	for _, k := range known {
		if d := distance(name, k); d <= most && d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of characters to insert, delete or replace to make b
// out of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
