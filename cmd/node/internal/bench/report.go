package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// Report is what a run has found.
type Report struct {
	Scenario string   `json:"scenario"`
	URLs     []string `json:"urls"`
	Clients  int      `json:"clients"`
	Rooms    int      `json:"rooms,omitempty"`
	Bytes    int      `json:"payload_bytes,omitempty"`
	Binary   bool     `json:"binary"`
	InFlight int      `json:"in_flight,omitempty"` // 0: at fixed times, see Rate, or nothing is sent
	Rate     int      `json:"rate,omitempty"`

	Connecting *Connecting `json:"connecting,omitempty"` // of all clients, before everything else

	// What the time without the warm-up had.

	Seconds    float64  `json:"seconds"`
	Operations uint64   `json:"operations"`
	PerSecond  float64  `json:"operations_per_second"`
	Latency    Latency  `json:"latency"`
	OtherNode  *Latency `json:"latency_other_node,omitempty"` // of those in Latency from a client at another address
	Histogram  []Bar    `json:"histogram"`                    // of Latency

	// What the whole run had.

	Sent       uint64 `json:"sent"`    // messages, of which one may have many receivers
	Arrived    uint64 `json:"arrived"` // operations
	Missing    uint64 `json:"missing"`
	Repeated   uint64 `json:"repeated"`
	OutOfOrder uint64 `json:"out_of_order"`
	Wrong      uint64 `json:"wrong"` // came to whom it was not for, or changed
	Lost       int    `json:"lost_connections"`
	FirstLost  string `json:"first_lost_connection,omitempty"`
}

// Connecting is how the clients came in, at most 64 at a time.
type Connecting struct {
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"clients_per_second"`
	Latency   Latency `json:"latency"`
}

// Latency is a distribution; percentiles are at most 1/32 too high.
type Latency struct {
	P50  Micros `json:"p50_us"`
	P90  Micros `json:"p90_us"`
	P99  Micros `json:"p99_us"`
	P999 Micros `json:"p999_us"`
	Max  Micros `json:"max_us"`
}

// Bar counts the operations with a latency over that of the bar before.
type Bar struct {
	UpTo  Micros `json:"up_to_us"`
	Count uint64 `json:"count"`
}

// Micros is a duration that is microseconds in JSON.
type Micros time.Duration

// MarshalJSON implements json.Marshaler.
func (m Micros) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(m)/float64(time.Microsecond), 'f', -1, 64), nil
}

// String has three digits, as more would pretend to be exact.
func (m Micros) String() string {
	d := time.Duration(m)
	for unit := time.Duration(1); ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit).String()
		}
	}
}

func (h *histogram) latency() Latency {
	return Latency{
		P50: Micros(h.quantile(0.5)), P90: Micros(h.quantile(0.9)), P99: Micros(h.quantile(0.99)),
		P999: Micros(h.quantile(0.999)), Max: Micros(h.max.Load()),
	}
}

// report adds up a run whose readers have ended.
func (r *run) report() *Report {
	cfg := r.cfg
	p := &Report{
		Scenario: cfg.Scenario, URLs: cfg.URLs, Clients: cfg.Clients,
		Seconds: max(0, time.Duration(r.to.Load()-r.from.Load()).Seconds()),
	}
	if len(r.streams) > 0 {
		p.Bytes, p.Binary, p.InFlight, p.Rate = cfg.Size, cfg.Binary, max(1, cfg.InFlight), cfg.Rate
		if p.Rate > 0 {
			p.InFlight = 0
		}
	}
	if cfg.Scenario == "rooms" {
		p.Rooms = cfg.Rooms
	}
	if cfg.Scenario == "connect" {
		p.Rate = cfg.Rate
	} else {
		p.Connecting = &Connecting{
			Seconds: r.opening.Seconds(), PerSecond: float64(cfg.Clients) / r.opening.Seconds(), Latency: r.opened.latency(),
		}
	}
	var all, far histogram
	for i := range r.shards {
		all.merge(&r.shards[i].latency)
		far.merge(&r.shards[i].far)
		p.Arrived += r.shards[i].arrived.Load()
	}
	p.Operations, p.Latency, p.Histogram = all.count(), all.latency(), all.bars()
	if p.Seconds > 0 {
		p.PerSecond = float64(p.Operations) / p.Seconds
	}
	if far.count() > 0 {
		latency := far.latency()
		p.OtherNode = &latency
	}
	r.judge(p)
	return p
}

// judge adds up what went wrong.
func (r *run) judge(p *Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.Lost = r.lost; r.firstEnd != nil {
		p.FirstLost = r.firstEnd.Error()
	}
	for _, s := range r.streams {
		p.Sent += s.sent.Load()
	}
	for _, c := range r.clients {
		p.Wrong += c.wrong
		for i := range c.ledgers {
			l := &c.ledgers[i]
			p.Missing += l.missing(l.stream.sent.Load())
			p.Repeated += l.repeated
			p.OutOfOrder += l.outOfOrder
		}
		if r.idle {
			p.Missing += c.late
			if time.Duration(r.to.Load())-c.pinged.Sub(r.epoch) > c.pingInterval+c.pingTimeout {
				p.Missing++
			}
		}
	}
	if len(r.streams) == 0 {
		p.Arrived = p.Operations
	}
}

// Err says what was not delivered as it should; nil: all was.
func (p *Report) Err() error {
	var faults []string
	for _, f := range []struct {
		n    uint64
		what string
	}{
		{p.Missing, "missing"},
		{p.Repeated, "repeated"},
		{p.OutOfOrder, "out of order"},
		{p.Wrong, "wrong"},
	} {
		if f.n > 0 {
			faults = append(faults, grouped(f.n)+" "+f.what)
		}
	}
	text := strings.Join(faults, ", ")
	if len(faults) > 0 {
		text = p.operations() + ": " + text
	}
	if p.Lost > 0 {
		if text != "" {
			text += "; "
		}
		text += fmt.Sprintf("connections lost: %d, the first: %s", p.Lost, p.FirstLost)
	}
	if text == "" {
		return nil
	}
	return fmt.Errorf("%s", text)
}

// operations is what the scenario counts.
func (p *Report) operations() string {
	switch p.Scenario {
	case "connect":
		return "connections"
	case "idle":
		return "pings"
	case "echo":
		return "answers"
	}
	return "deliveries"
}

// JSON writes the report as one line.
func (p *Report) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(p) }

// Text writes the report for people.
func (p *Report) Text(w io.Writer) error {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s "+format+"\n", append([]any{label}, args...)...)
	}
	line(p.Scenario, "%s", p.conditions())
	for _, u := range p.URLs {
		line("", "%s", u)
	}
	if c := p.Connecting; c != nil {
		line("connected", "in %.2f s: %s/s, p50 %v, p99 %v, max %v",
			c.Seconds, grouped(uint64(c.PerSecond)), c.Latency.P50, c.Latency.P99, c.Latency.Max)
	}
	line("measured", "%s %s in %.2f s: %s/s", grouped(p.Operations), p.operations(), p.Seconds, grouped(uint64(math.Round(p.PerSecond))))
	if p.Operations > 0 {
		line(p.latencyLabel(), "%v", p.Latency)
	}
	if p.OtherNode != nil {
		line("other node", "%v", *p.OtherNode)
	}
	p.chart(&b)
	line("checked", "%s", p.verdict())
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *Report) latencyLabel() string {
	if p.Scenario == "idle" {
		return "lateness" // of pings
	}
	return "latency"
}

func (p *Report) conditions() string {
	text := fmt.Sprintf("%s clients", grouped(uint64(p.Clients))) //nolint:gosec // a count
	if p.Rooms > 0 {
		text += fmt.Sprintf(" in %s rooms", grouped(uint64(p.Rooms))) //nolint:gosec // a count
	}
	if p.Bytes > 0 {
		kind := "text"
		if p.Binary {
			kind = "binary"
		}
		text += fmt.Sprintf(", %s bytes %s", grouped(uint64(p.Bytes)), kind) //nolint:gosec // a size
	}
	switch {
	case p.Rate > 0:
		text += fmt.Sprintf(", %s a second", grouped(uint64(p.Rate))) //nolint:gosec // a count
	case p.InFlight > 0:
		text += fmt.Sprintf(", %d in flight", p.InFlight)
	}
	return text
}

func (p *Report) verdict() string {
	if err := p.Err(); err != nil {
		return err.Error()
	}
	switch {
	case p.Arrived == 0 && p.Scenario == "idle":
		return "no ping was due: --duration is shorter than the server's interval"
	case p.Scenario == "connect" || p.Scenario == "idle":
		return fmt.Sprintf("%s %s: all as they should be", grouped(p.Arrived), p.operations())
	}
	return fmt.Sprintf("%s %s: each came once and in order", grouped(p.Arrived), p.operations())
}

// String has everything in one line.
func (l Latency) String() string {
	return fmt.Sprintf("p50 %v, p90 %v, p99 %v, p99.9 %v, max %v", l.P50, l.P90, l.P99, l.P999, l.Max)
}

// chart draws the histogram.
func (p *Report) chart(b *strings.Builder) {
	const width = 40
	var most uint64
	for _, bar := range p.Histogram {
		most = max(most, bar.Count)
	}
	for _, bar := range p.Histogram {
		length := int(math.Round(width * float64(bar.Count) / float64(most)))
		fmt.Fprintf(b, "%10s ≤ %-6v %-*s %5.1f %%\n", "", bar.UpTo, width, strings.Repeat("█", length),
			100*float64(bar.Count)/float64(p.Operations))
	}
}

// grouped writes 1234567 as 1,234,567.
func grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
