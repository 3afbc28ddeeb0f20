package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// What a client or node does with a question depends on the two and the seed
// only: it does the same with a question that comes twice.
const (
	answers = iota
	answersLate
	answersTwice
	answersAsSomebodyElse
	answersNever
	cutsItself
)

func conduct(seed uint64, who string, n int) int {
	h := fnv.New64a()
	_, _ = fmt.Fprintln(h, seed, who, n)
	switch k := h.Sum64() % 20; {
	case k < 12:
		return answers
	case k < 14:
		return answersLate
	case k < 16:
		return answersTwice
	case k < 17:
		return answersAsSomebodyElse
	case k < 19:
		return answersNever
	default:
		return cutsItself
	}
}

// turmoil is a cluster whose bus, clients and nodes misbehave by a seed while
// questions are asked.
type turmoil struct {
	t       *testing.T
	seed    uint64
	cluster *siotest.Cluster
	clients []*siotest.Client
	over    chan struct{} // closed when clients stop

	mu       sync.Mutex // guards the following
	node     map[string]cluster.NodeID
	question int
	silent   map[int][]string // sockets that got a question, and do not answer
}

const pendingAcks = 30

func newTurmoil(t *testing.T, seed uint64) *turmoil {
	t.Helper()
	x := &turmoil{
		t: t, seed: seed, over: make(chan struct{}),
		node: make(map[string]cluster.NodeID), silent: make(map[int][]string),
	}
	x.cluster = siotest.NewCluster(t, 4, socketio.Config{Logger: quiet(), Limits: socketio.Limits{PendingAcks: pendingAcks}})
	x.cluster.Seed(seed)
	for i, srv := range x.cluster.Servers() {
		srv.OnConnect(func(s *socketio.Socket) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.node[s.ID()] = siotest.NodeID(i)
		})
		srv.OnServerSide("q", func(ev *socketio.ServerEvent) {
			n := scan[int](t, ev)
			switch conduct(seed, string(siotest.NodeID(i)), n) {
			case answersNever, cutsItself:
			case answersTwice:
				_ = ev.Ack(siotest.NodeID(i), n)
				_ = ev.Ack("again")
			default:
				_ = ev.Ack(siotest.NodeID(i), n)
			}
		})
		for range 2 {
			x.clients = append(x.clients, srv.Dial(siotest.Options{Reconnect: i < 3}))
		}
	}
	return x
}

// run lets a client do what it does.
func (x *turmoil) run(name string, c *siotest.Client) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-x.over:
			return
		case <-tick.C:
		}
		id := c.ID()
		for _, ev := range c.Received() {
			n := scan[int](x.t, ev)
			switch conduct(x.seed, name, n) {
			case answersLate:
				time.AfterFunc(2*time.Second, func() { ev.Ack(id, n) })
			case answersTwice:
				ev.Ack(id, n)
				ev.Ack("again", n)
			case answersAsSomebodyElse:
				for k := range uint64(50) {
					c.SendAck(1000+k, "forged", n)
				}
				ev.Ack(id, n)
			case answersNever:
				x.mu.Lock()
				x.silent[n] = append(x.silent[n], id)
				x.mu.Unlock()
			case cutsItself:
				c.Cut()
			default:
				ev.Ack(id, n)
			}
		}
	}
}

// harm changes what is wrong with the bus every now and then, never in the same
// instant in which somebody asks.
func (x *turmoil) harm(random *rand.Rand) {
	time.Sleep(500 * time.Microsecond)
	for range 60 {
		time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
		i, j := random.IntN(4), random.IntN(4)
		switch random.IntN(8) {
		case 0:
			x.cluster.Heal()
		case 1:
			x.cluster.Partition(i)
		case 2:
			x.cluster.Interrupt(i)
		case 3:
			x.cluster.Resume(i)
		case 4:
			x.cluster.Faults(memory.Faults{Jitter: time.Second})
		default:
			x.cluster.FaultsBetween(i, j, memory.Faults{
				Delay:    time.Duration(random.IntN(300)) * time.Millisecond,
				Jitter:   time.Duration(random.IntN(2000)) * time.Millisecond,
				Loss:     random.Float64() / 4,
				LoseNext: random.IntN(2), Duplication: random.Float64(),
			})
		}
	}
	x.cluster.Heal()
}

// ask asks one question of some kind and judges the outcome.
func (x *turmoil) ask(random *rand.Rand) {
	time.Sleep(time.Duration(random.IntN(300))*time.Millisecond + time.Millisecond - time.Duration(time.Now().Nanosecond())%time.Millisecond)
	x.mu.Lock()
	n := x.question
	x.question++
	x.mu.Unlock()
	srv := x.cluster.Server(random.IntN(3)) // the fourth only answers
	limit := time.Duration(1+random.IntN(6000)) * time.Millisecond
	start := time.Now()
	var replies []socketio.Reply
	var err error
	switch kind := random.IntN(4); kind {
	case 0, 1:
		replies, err = srv.Timeout(limit).EmitWithAck(x.t.Context(), "q", n)
		x.judgePartial(n, err, len(replies))
	case 2:
		limit = 5 * time.Second
		replies, err = srv.ServerSideEmitWithAck(x.t.Context(), "q", n)
		x.judgePartial(n, err, len(replies))
	case 3:
		client := x.clients[random.IntN(len(x.clients))]
		s, ok := srv.Socket(client.ID())
		if !ok {
			return
		}
		var args socketio.Args
		args, err = s.Timeout(limit).EmitWithAck(x.t.Context(), "q", n)
		if err == nil {
			replies = []socketio.Reply{{SocketID: s.ID(), Node: srv.NodeID(), Args: args}}
		} else if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, socketio.ErrDisconnected) {
			x.t.Errorf("question %d: %v", n, err)
		}
	}
	if took := time.Since(start); took > limit {
		x.t.Errorf("question %d took %v of %v", n, took, limit)
	}
	x.judge(n, replies, err)
}

// judgePartial checks that an error counts right, and says why.
func (x *turmoil) judgePartial(n int, err error, replies int) {
	if err == nil {
		return
	}
	var p *socketio.PartialError
	known := slices.ContainsFunc([]error{context.DeadlineExceeded, cluster.ErrGone, memory.ErrInterrupted}, func(cause error) bool {
		return errors.Is(err, cause)
	})
	if !errors.As(err, &p) || !known {
		x.t.Errorf("question %d: error %v", n, err)
		return
	}
	// Where the bus cannot be asked for nodes there is nobody to expect.
	if p.Received != replies || p.Received > p.Expected || p.Received == p.Expected && !errors.Is(err, memory.ErrInterrupted) {
		x.t.Errorf("question %d: %d replies, %v", n, replies, err)
	}
	if !slices.IsSorted(p.Missing) || len(slices.Compact(slices.Clone(p.Missing))) != len(p.Missing) {
		x.t.Errorf("question %d: missing %q", n, p.Missing)
	}
}

// judge checks that each reply is of who it says it is, to this question, and
// once; and that without an error nobody owes one.
func (x *turmoil) judge(n int, replies []socketio.Reply, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	seen := make(map[string]bool)
	for _, r := range replies {
		who := r.SocketID
		if who == "" {
			who = string(r.Node)
		} else if x.node[who] != r.Node {
			x.t.Errorf("question %d: socket %s of %s answered at %s", n, who, x.node[who], r.Node)
		}
		var said string
		var to int
		if scanErr := r.Scan(&said, &to); scanErr != nil || said != who || to != n {
			x.t.Errorf("question %d: %s answered %q to %d (%v)", n, who, said, to, scanErr)
		}
		if seen[who] {
			x.t.Errorf("question %d: %s answered twice", n, who)
		}
		seen[who] = true
	}
	if err != nil {
		return
	}
	for _, id := range x.silent[n] {
		if x.node[id] != siotest.NodeID(3) { // which is shut down: its sockets may be struck off
			x.t.Errorf("question %d: no error, but %s has not answered", n, id)
		}
	}
}

// settled checks that nothing is left: all answer again, and no socket owes an
// acknowledgement that nobody waits for.
func (x *turmoil) settled() {
	time.Sleep(2 * time.Hour) // nodes wait that long for each other at most
	for i, srv := range x.cluster.Servers()[:3] {
		replies, err := srv.EmitWithAck(x.t.Context(), "quiet")
		if len(replies) != 6 || err != nil {
			x.t.Errorf("node %d: %d replies, %v", i, len(replies), err)
		}
	}
	var all sync.WaitGroup
	for i, client := range x.clients[:6] {
		s := socketOf(x.t, x.cluster.Server(i/2), client)
		for range pendingAcks {
			all.Go(func() {
				if _, err := s.Timeout(time.Second).EmitWithAck(x.t.Context(), "q", -1); !errors.Is(err, context.DeadlineExceeded) {
					x.t.Errorf("of %d acknowledgements one: %v", pendingAcks, err)
				}
			})
		}
	}
	all.Wait()
}

// Whatever the bus, the clients and the nodes do, a question ends in time; each
// socket that counts as answered has answered, once; and when one has not, the
// error says so. Afterwards nothing is left that waits.
func TestEveryAckSettlesExactlyOnceInTurmoil(t *testing.T) {
	rounds := uint64(10)
	if testing.Short() {
		rounds = 3
	}
	for seed := range rounds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTurmoil(t, seed)
				var askers, others sync.WaitGroup
				for i, c := range x.clients {
					others.Go(func() { x.run(fmt.Sprint("client ", i), c) })
				}
				others.Go(func() { x.harm(rand.New(rand.NewPCG(seed, 1))) })
				for i := range uint64(5) {
					askers.Go(func() {
						random := rand.New(rand.NewPCG(seed, 10+i))
						for range 20 {
							x.ask(random)
						}
					})
				}
				time.Sleep(20*time.Second + 700*time.Microsecond)
				if err := x.cluster.Server(3).Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				askers.Wait()
				time.Sleep(time.Minute)
				close(x.over)
				others.Wait()
				for i, c := range x.clients[:6] {
					answer(c, "quiet", i)
				}
				x.settled()
			})
		})
	}
}
