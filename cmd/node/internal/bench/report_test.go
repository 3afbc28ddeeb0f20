package bench

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func ms(f float64) Micros { return Micros(f * float64(time.Millisecond)) }

// sample is the report that docs/node.md shows.
func sample() *Report {
	return &Report{
		Scenario: "cluster", URLs: []string{"http://127.0.0.1:3001", "http://127.0.0.1:3002", "http://127.0.0.1:3003"},
		Clients: 300, Bytes: 128, Rate: 30,
		Connecting: &Connecting{Seconds: 0.0582, PerSecond: 5153, Latency: Latency{P50: ms(8.65), P99: ms(38.8), Max: ms(41.4)}},
		Seconds:    3, Operations: 27_000, PerSecond: 9000,
		Latency:   Latency{ms(5.242879), ms(8.912895), ms(13.4), ms(18.8), ms(18.8)},
		OtherNode: &Latency{ms(6.553599), ms(9.699327), ms(13.6), ms(18.8), ms(18.8)},
		Histogram: []Bar{{ms(0.5), 8}, {ms(1), 213}, {ms(2), 2111}, {ms(5), 10_523}, {ms(10), 12_819}, {ms(20), 1326}},
		Sent:      121, Arrived: 36_300,
	}
}

func TestDocumentationShowsAReport(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/node.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "<!-- report of bench -->\n```text\n")
	shown, _, ok2 := strings.Cut(rest, "```\n<!-- end -->")
	if !ok || !ok2 {
		t.Fatal("docs/node.md has no report of bench")
	}
	var text strings.Builder
	if err := sample().Text(&text); err != nil || text.String() != shown {
		t.Errorf("the report is now, %v\n%s\nand docs/node.md shows\n%s", err, &text, shown)
	}
}

// The page's table of scenarios is that of the program.
func TestDocumentationHasEveryScenario(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/node.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## dunlin bench\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z]+)`").FindAllStringSubmatch(section, -1) {
		documented = append(documented, m[1])
	}
	if want := []string{"connect", "idle", "echo", "broadcast", "rooms", "cluster"}; !slices.Equal(documented, want) {
		t.Errorf("docs/node.md documents %q, want %q", documented, want)
	}
}

func TestVerdict(t *testing.T) {
	for want, p := range map[string]*Report{
		"":                              sample(),
		"deliveries: 1,234,567 missing": {Scenario: "rooms", Missing: 1_234_567},
		"answers: 1 missing, 2 repeated, 3 out of order, 4 wrong; connections lost: 5, the first: x": {
			Scenario: "echo", Missing: 1, Repeated: 2, OutOfOrder: 3, Wrong: 4, Lost: 5, FirstLost: "x",
		},
		"connections lost: 1, the first: y": {Scenario: "idle", Lost: 1, FirstLost: "y"},
	} {
		got := ""
		if err := p.Err(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("Err() = %q, want %q", got, want)
		}
	}
}

func TestDurationsHaveThreeDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234: "1.23µs", 12_345: "12.3µs", 1_234_567: "1.23ms", 2 * time.Second: "2s", 123_456 * time.Millisecond: "2m3s",
	} {
		if got := Micros(d).String(); got != want {
			t.Errorf("%d = %s, want %s", d, got, want)
		}
	}
}
