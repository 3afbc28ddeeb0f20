package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	pass     = `{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}` + "\n" + `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n"
	fail     = `{"Action":"output","Package":"p","Test":"TestB","Output":"the reason\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestB"}` + "\n"
	skip     = `{"Action":"output","Package":"p","Test":"TestC","Output":"no engine\n"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestC"}` + "\n"
	untested = `{"Action":"output","Package":"q","Output":"?   q [no test files]\n"}` + "\n" + `{"Action":"skip","Package":"q"}` + "\n"
	crash    = `{"Action":"output","Package":"p","Test":"TestD","Output":"fatal error: all asleep\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n"
	unbuilt  = `{"Action":"build-output","ImportPath":"r","Output":"r.go:1: undefined: x\n"}` + "\n" + `{"Action":"fail","Package":"r"}` + "\n"
)

func TestRunFailsOnFailuresAndSkips(t *testing.T) {
	tests := []struct {
		name, in, wantErr string
		want, wantNot     string
	}{
		{name: "passed", in: pass + untested, want: "1 passed, 0 failed, 0 skipped", wantNot: "chatter"},
		{name: "failed", in: pass + fail, wantErr: "1 failed", want: "the reason"},
		{name: "skipped", in: pass + skip, wantErr: "1 skipped", want: "SKIPPED p TestC"},
		{name: "did not build", in: pass + unbuilt, wantErr: "1 failed", want: "undefined: x"},
		{name: "crashed", in: pass + crash, wantErr: "1 failed", want: "all asleep"},
		{name: "nothing ran", in: untested, wantErr: "no test ran"},
		{name: "not JSON", in: "panic: oh\n" + pass, want: "panic: oh"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := run(strings.NewReader(tt.in), &out, io.Discard)
			if tt.wantErr == "" && err != nil || tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)) {
				t.Errorf("run() = %v, want an error that contains %q", err, tt.wantErr)
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("printed %q, want %q in it", out.String(), tt.want)
			}
			if tt.wantNot != "" && strings.Contains(out.String(), tt.wantNot) {
				t.Errorf("printed %q, want %q not in it", out.String(), tt.wantNot)
			}
		})
	}
}

func TestRecordNamesTheTestsThatPassed(t *testing.T) {
	subtest := `{"Action":"pass","Package":"p","Test":"TestE/sub"}` + "\n"
	file := filepath.Join(t.TempDir(), "passed")
	if err := os.WriteFile(file, []byte("p TestOfAnEarlierRun\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := record(file, strings.NewReader(pass+fail+skip+subtest+untested), io.Discard); err == nil {
		t.Error("record() hides a failure")
	}
	if got, err := os.ReadFile(file); string(got) != "p TestA\n" || err != nil {
		t.Errorf("recorded %q, %v, want TestA alone", got, err)
	}
	if err := record(filepath.Join(file, "nowhere"), strings.NewReader(pass), io.Discard); err == nil {
		t.Error("record() without a file succeeded")
	}
}
