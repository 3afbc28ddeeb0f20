package socketio

import (
	"crypto/subtle"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// keeper saves the sessions of one namespace ahead of time, so that they
// outlive the node: when a socket is connected, when its rooms or data have
// changed, now and then so that they do not expire, and when it has left.
type keeper struct {
	r       *logged
	refresh time.Duration // between two savings of a session that does not change
	wake    chan struct{} // holds one
	stop    chan struct{} // closed by close
	stopped chan struct{} // closed when run has ended

	mu       sync.Mutex // guards the following
	byPID    map[string]*kept
	left     int // those in byPID that have left
	parted   map[string]parted
	urgent   []*kept // have come or left
	changed  map[*kept]struct{}
	returned []cluster.Session // of clients that did not stay
	forget   []string
	started  bool
	closed   bool
	stale    bool // all have to be saved again
	anew     bool // and the store may have lost them
	changes  time.Time
	scan     time.Time
	pause    time.Time // until then the store is left alone: it has failed
}

// parted is a socket that has left and been saved for the last time. If another
// node had taken the session just before, that saving has changed nothing, and
// the node, which has what was saved earlier, is about to ask for the rest.
type parted struct {
	it *kept
	at time.Time
}

// partedTime is longer than it takes another node to take a session and ask.
const partedTime = storeWait + takeOverWait

// kept is what is kept of a socket.
type kept struct {
	socket *Socket
	pid    string
	ended  chan struct{} // closed when gone is set

	// Of the order.
	start    position // of the latest event before it was connected for the first time
	last     position // of the latest event handed to its connection
	broken   bool     // its connection did not take what followed through
	through  position
	gaps     uint64 // gap.times when it began
	restarts uint64 // gap.restarts that start and last know of

	// Guarded by keeper.mu.
	gone   *farewell     // nil while it is connected
	saved  time.Time     // zero when the store cannot have it
	saving chan struct{} // closed when the latest saving has ended; nil before the first
	taken  bool          // by another socket of the client
	queued bool          // is in keeper.urgent
}

func (k *keeper) init(r *logged) {
	k.r = r
	k.refresh = min(max(r.limits.MaxDisconnection/2, saveInterval), time.Minute)
	k.wake, k.stop, k.stopped = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	k.byPID, k.changed = make(map[string]*kept), make(map[*kept]struct{})
	k.parted = make(map[string]parted)
}

func (k *keeper) empty() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.byPID) == 0
}

func (k *keeper) add(now *kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.byPID[now.pid] = now
	k.queue(now)
	k.signal()
}

// signal wakes run, and starts it the first time. The caller holds mu.
func (k *keeper) signal() {
	if k.closed {
		return
	}
	if !k.started {
		k.started = true
		// run ends when close closes stop, and close waits for it.
		go k.run()
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// change notes that a socket's session is out of date.
func (k *keeper) change(it *kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if it.gone == nil && !it.taken {
		k.changed[it] = struct{}{}
		k.signal()
	}
}

// all notes that all sessions are; lost says that the store may not have them
// any more.
func (k *keeper) all(lost bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stale, k.anew = true, k.anew || lost
	if len(k.byPID) > 0 {
		k.signal()
	}
}

// giveBack keeps the session of a client that has not stayed.
func (k *keeper) giveBack(s cluster.Session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.returned) < k.r.limits.MaxSessions {
		k.returned = append(k.returned, s)
		k.signal()
	}
}

// end notes that a socket has left.
func (k *keeper) end(it *kept, f *farewell) {
	k.mu.Lock()
	defer k.mu.Unlock()
	it.gone = f
	close(it.ended)
	delete(k.changed, it)
	if it.taken || k.byPID[it.pid] != it {
		return
	}
	if !recoverable(f.reason) || k.closed || k.left >= k.r.limits.MaxSessions {
		delete(k.byPID, it.pid)
		if k.forget = append(k.forget, it.pid); len(k.forget) > k.r.limits.MaxSessions {
			k.forget = k.forget[1:]
		}
	} else {
		k.left++
		k.queue(it)
	}
	k.signal()
}

// queue lets the next round save a session. The caller holds mu.
func (k *keeper) queue(it *kept) {
	if !it.queued {
		it.queued = true
		k.urgent = append(k.urgent, it)
	}
}

// takeOver ends the socket here that has the session with that PID, if there is
// one, and returns the session. It will not be saved again.
func (k *keeper) takeOver(pid string) (s cluster.Session, ok bool) {
	k.mu.Lock()
	it := k.byPID[pid]
	if it == nil || subtle.ConstantTimeCompare([]byte(it.pid), []byte(pid)) != 1 {
		k.mu.Unlock()
		return cluster.Session{}, false
	}
	it.taken = true
	delete(k.byPID, pid)
	delete(k.changed, it)
	live, saving := it.gone == nil, it.saving
	if !live {
		k.left--
	}
	k.mu.Unlock()
	if saving != nil { // or else the store gets it when it has been taken there
		<-saving
	}
	if live {
		it.socket.conn.end(ReasonTransportClose, errReplaced)
		select {
		case <-it.ended: // by us, or by who has noticed the end of its connection
		case <-time.After(replacing):
			return cluster.Session{}, false
		}
	}
	sessions, _ := k.sessions([]*kept{it})
	return sessions[0], true
}

// part lets another node ask for a session that has been saved for the last time.
// The caller holds mu.
func (k *keeper) part(it *kept, now time.Time) {
	delete(k.byPID, it.pid)
	k.left--
	if len(k.parted) < k.r.limits.MaxSessions {
		k.parted[it.pid] = parted{it, now}
	}
}

// sessionOfParted returns such a session, once.
func (k *keeper) sessionOfParted(pid string) cluster.Session {
	k.mu.Lock()
	p, ok := k.parted[pid]
	delete(k.parted, pid)
	k.mu.Unlock()
	if !ok || time.Since(p.at) >= partedTime || subtle.ConstantTimeCompare([]byte(p.it.pid), []byte(pid)) != 1 {
		return cluster.Session{}
	}
	sessions, _ := k.sessions([]*kept{p.it})
	return sessions[0]
}

// close saves what is to be saved and ends run.
func (k *keeper) close() {
	k.mu.Lock()
	first := !k.closed
	k.closed = true
	started := k.started
	k.mu.Unlock()
	if first {
		close(k.stop)
	}
	if started {
		<-k.stopped
	}
}
