package differential_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/dunlin-io/dunlin/core/parser"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	usualInputs = 20_000
	usualSeed   = 1
	batch       = 1000 // inputs on their way to the peer at once
	mostShown   = 5    // kinds of findings, one of each
)

// setting reads a number from the environment.
func setting(t *testing.T, name string, usual uint64) uint64 {
	t.Helper()
	text, ok := os.LookupEnv(name)
	if !ok {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func golden(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../core/parser/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func corpus(t *testing.T, file string, parse func([]byte) ([]input, error), least int) []input {
	t.Helper()
	corpus, err := parse(golden(t, file))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(corpus) < least {
		t.Fatalf("%s: %d inputs, want %d", file, len(corpus), least)
	}
	return corpus
}

// generator returns what makes input number i. Each has its own randomness, so
// that it can be made again alone.
func generator(t *testing.T, codec parser.Codec, seed uint64) func(i uint64) input {
	t.Helper()
	var next func(r *rand.Rand) input
	if codec.Name() == "json" {
		known := corpus(t, "socketio-packets.json", jsonCorpus, 180)
		next = func(r *rand.Rand) input { return (&jsonInputs{Rand: r, corpus: known}).next() }
	} else {
		known := corpus(t, "msgpack-parser.json", msgpackCorpus, 70)
		next = func(r *rand.Rand) input { return (&msgpackInputs{Rand: r, corpus: known}).next() }
	}
	return func(i uint64) input {
		r := rand.New(rand.NewPCG(seed, i)) //nolint:gosec // the same inputs again are the point
		for {
			if in := next(r); !endless(in) {
				return in
			}
		}
	}
}

func TestJSON(t *testing.T)    { run(t, parser.JSON()) }
func TestMsgpack(t *testing.T) { run(t, parser.Msgpack()) }

func run(t *testing.T, codec parser.Codec) {
	t.Helper()
	inputs, seed := setting(t, "DIFFERENTIAL_INPUTS", usualInputs), setting(t, "DIFFERENTIAL_SEED", usualSeed)
	t.Logf("%d inputs, seed %d", inputs, seed)
	j := &judge{peer: startPeer(t), excused: map[string]int{}}
	shown := map[string]bool{}
	generate := generator(t, codec, seed)
	for i := uint64(0); i < inputs; i += batch {
		list := make([]input, min(batch, inputs-i))
		for k := range list {
			list[k] = generate(i + uint64(k))
		}
		findings, err := j.examine(list)
		if err != nil {
			t.Fatal(err)
		}
		for k, f := range findings {
			if f == nil || shown[f.kind()] {
				continue
			}
			shown[f.kind()] = true
			small := j.shrink(t, f)
			t.Errorf("input %d of seed %d, reduced to\n%s\n%s", i+uint64(k), seed, show(small.in), small)
			if len(shown) == mostShown {
				t.FailNow()
			}
		}
	}
	t.Logf("%d accepted, %d rejected by both; reviewed differences: %v", j.accepted, j.rejected, j.excused)
	if total := float64(inputs); float64(j.accepted) < total/4 || float64(j.rejected) < total/20 {
		t.Errorf("%d inputs accepted and %d rejected by both of %d: too few to say something", j.accepted, j.rejected, inputs)
	}
}

func show(in input) string {
	var text strings.Builder
	text.WriteString(in.codec.Name())
	for _, f := range in.frames {
		if f.Binary {
			text.WriteString(fmt.Sprintf(" %x", f.Data))
		} else {
			text.WriteString(fmt.Sprintf(" %q", f.Data))
		}
	}
	return text.String()
}
