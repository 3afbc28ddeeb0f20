package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

// tree holds n files of the given length under d/, beside what is not ours.
func tree(n, lines int) fstest.MapFS {
	fsys := fstest.MapFS{
		"d/node_modules/x.go": {Data: []byte(strings.Repeat("\n", 9000))},
		"d/testdata/x.go":     {Data: []byte(strings.Repeat("\n", 9000))},
		".git/x.go":           {Data: []byte(strings.Repeat("\n", 9000))},
		"d/notes.txt":         {Data: []byte(strings.Repeat("\n", 9000))},
	}
	for i := range n {
		fsys["d/f"+string(rune('a'+i))+".go"] = &fstest.MapFile{Data: []byte(strings.Repeat("\n", lines))}
	}
	return fsys
}

func TestCheckFindsWhatIsTooLongOrNameless(t *testing.T) {
	add := func(fsys fstest.MapFS, name string, lines int) fstest.MapFS {
		fsys[name] = &fstest.MapFile{Data: []byte(strings.Repeat("\n", lines))}
		return fsys
	}
	tests := []struct {
		name string
		tree fstest.MapFS
		want string // part of the error; "" for none
	}{
		{"short files", tree(20, 350), ""},
		{"one long file in ten", add(tree(9, 10), "long.go", 500), ""},
		{"two long files in eleven", add(add(tree(9, 10), "long.go", 400), "longer.go", 400), "one file in ten"},
		{"over the limit", add(tree(20, 10), "huge.go", 501), "huge.go: 501 lines"},
		{"no concept", add(tree(20, 10), "d/utils.go", 1), "d/utils.go: the name"},
		{"no concept in a test", add(tree(20, 10), "types_test.go", 1), "types_test.go: the name"},
		{"nothing", fstest.MapFS{"README.md": {}}, "no Go files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files, err := measure(tt.tree)
			if err != nil {
				t.Fatal(err)
			}
			sortByLength(files)
			err = check(files)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("check() = %v, want an error that contains %q", err, tt.want)
			}
		})
	}
}
