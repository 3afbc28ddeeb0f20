//go:build unix

package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Fault is something that happens to a rig: it begins, lasts, and is over when
// act returns.
type Fault struct {
	Name string
	// act does it. It declares to the ledger what may be lost.
	act func(ctx context.Context, r *Round) error
}

// Round is one run of a workload with faults.
type Round struct {
	Rig    *Rig
	Ledger *Ledger
	random *rand.Rand
	log    func(format string, args ...any)
	cut    map[*Node]interval // when a node's way to Redis was disturbed last
}

type interval struct{ from, to time.Time }

// catchUp is how long after that a node may still hold what it could not
// publish.
const catchUp = 4 * time.Second

// disturbed notes that the nodes could not reach Redis since begin.
func (r *Round) disturbed(begin time.Time, nodes ...*Node) {
	for _, n := range nodes {
		from := begin
		if before, ok := r.cut[n]; ok && begin.Sub(before.to) < catchUp {
			from = before.from
		}
		r.cut[n] = interval{from, time.Now()}
	}
}

// holding returns since when a node may hold what it has not published.
func (r *Round) holding(n *Node) time.Time {
	now := time.Now()
	if before, ok := r.cut[n]; ok && now.Sub(before.to) < catchUp {
		return before.from
	}
	return now
}

// NewRound returns a round whose choices follow from the seed. log is told what
// happens.
func NewRound(r *Rig, l *Ledger, seed uint64, log func(format string, args ...any)) *Round {
	return &Round{cut: make(map[*Node]interval), Rig: r, Ledger: l, random: rand.New(rand.NewPCG(seed, 0xd0)), log: log}
}

// slack is how long before and after a fault messages count as sent during it:
// what had been accepted a moment before may have been on its way.
const slack = 250 * time.Millisecond

// Run draws faults until the time is over. It returns the first error of the
// rig, not of the cluster.
func (r *Round) Run(ctx context.Context, faults []Fault, length time.Duration) error {
	end := time.Now().Add(length)
	for time.Now().Before(end) && ctx.Err() == nil {
		if err := r.sleep(ctx, r.between(100*time.Millisecond, 600*time.Millisecond)); err != nil {
			return err
		}
		f := faults[r.random.IntN(len(faults))]
		begin := time.Now()
		if err := f.act(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		r.log("%s for %v", f.Name, time.Since(begin).Round(time.Millisecond))
	}
	return ctx.Err()
}

func (r *Round) between(least, most time.Duration) time.Duration {
	return least + time.Duration(r.random.Int64N(int64(most-least)))
}

func (r *Round) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Round) node() *Node { return r.Rig.Nodes[r.random.IntN(len(r.Rig.Nodes))] }

func from(node string) func(producer, consumer string) bool {
	return func(producer, _ string) bool { return nodeOf(producer) == node }
}

func nodeOf(client string) string {
	_, node, _ := strings.Cut(client, "@")
	return node
}

func (r *Round) mayLose(since time.Time, cause string, between func(producer, consumer string) bool) {
	r.Ledger.MayLose(since.Add(-slack), time.Now().Add(slack), cause, between)
}

// AllFaults returns what may happen. Whatever the adapter promises to deliver through
// them is not excused.
func AllFaults() []Fault {
	return []Fault{
		{"a node is killed and started again", killNode},
		{"a node stands still", stopNode},
		{"redis is killed and started again", killRedis},
		{"redis stands still", stopRedis},
		{"a node's connections to redis are reset", resetNode},
		{"a node does not hear redis", holdNode(Down)},
		{"redis does not hear a node", holdNode(Up)},
		{"redis is slow", slowNode},
		{"redis ends subscriptions", killSubscriptions},
	}
}

// killNode loses what the node had acknowledged and not published: nobody keeps
// that elsewhere.
func killNode(ctx context.Context, r *Round) error {
	n := r.node()
	begin := r.holding(n)
	n.Kill()
	if err := r.sleep(ctx, r.between(0, time.Second)); err != nil {
		return err
	}
	defer r.mayLose(begin, "node killed", from(n.Name))
	return n.Start(ctx)
}

func stopNode(ctx context.Context, r *Round) error {
	n := r.node()
	if err := n.Stop(); err != nil {
		return err
	}
	err := r.sleep(ctx, r.between(100*time.Millisecond, 2*time.Second))
	if failed := n.Continue(); err == nil {
		err = failed
	}
	return err
}

func killRedis(ctx context.Context, r *Round) error {
	begin := time.Now()
	defer func() { r.disturbed(begin, r.Rig.Nodes...) }()
	r.Rig.Redis.Kill()
	if err := r.sleep(ctx, r.between(0, 2*time.Second)); err != nil {
		return err
	}
	return r.Rig.Redis.Start(ctx)
}

func stopRedis(ctx context.Context, r *Round) error {
	begin := time.Now()
	defer func() { r.disturbed(begin, r.Rig.Nodes...) }()
	if err := r.Rig.Redis.Stop(); err != nil {
		return err
	}
	err := r.sleep(ctx, r.between(100*time.Millisecond, 2*time.Second))
	if failed := r.Rig.Redis.Continue(); err == nil {
		err = failed
	}
	return err
}

func resetNode(ctx context.Context, r *Round) error {
	n := r.node()
	begin := time.Now()
	defer func() { r.disturbed(begin, n) }()
	n.Proxy.Refuse(true)
	n.Proxy.Reset()
	err := r.sleep(ctx, r.between(0, 2*time.Second))
	n.Proxy.Refuse(false)
	return err
}

func holdNode(d Direction) func(context.Context, *Round) error {
	return func(ctx context.Context, r *Round) error {
		n := r.node()
		begin := time.Now()
		defer func() { r.disturbed(begin, n) }()
		n.Proxy.Set(d, Faults{Hold: true})
		err := r.sleep(ctx, r.between(100*time.Millisecond, 2*time.Second))
		n.Proxy.Heal()
		return err
	}
}

func slowNode(ctx context.Context, r *Round) error {
	n := r.node()
	f := Faults{Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond, Slice: 1 + r.random.IntN(2000)}
	begin := time.Now()
	defer func() { r.disturbed(begin, n) }()
	n.Proxy.Set(Up, f)
	n.Proxy.Set(Down, f)
	err := r.sleep(ctx, r.between(100*time.Millisecond, time.Second))
	n.Proxy.Heal()
	return err
}

func killSubscriptions(ctx context.Context, r *Round) error {
	begin := time.Now()
	defer func() { r.disturbed(begin, r.Rig.Nodes...) }()
	_, err := r.Rig.command(ctx, "CLIENT", "KILL", "TYPE", "pubsub")
	return err
}
