package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version tells what was built, as the Go command recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dunlin (unknown version) " + runtime.Version()
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v == "(devel)" {
			v = "(devel) " + s.Value
		}
	}
	return fmt.Sprintf("dunlin %s %s %s/%s", v, info.GoVersion, runtime.GOOS, runtime.GOARCH)
}
