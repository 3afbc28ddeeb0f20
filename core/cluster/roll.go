package cluster

import "slices"

// roll keeps who has not answered yet. Nodes known by name are ticked off by
// name, the others by number; nobody is ticked off twice. It is guarded by
// whoever holds it.
type roll struct {
	expected, received int
	named              map[NodeID]bool // true: owes an answer; false: has answered
	owed               int             // how many of named are true
	foreign            int             // answers owed by nodes that were only counted
}

func newRoll(m Members) roll {
	r := roll{expected: m.Len(), foreign: m.Foreign, named: make(map[NodeID]bool, len(m.Known))}
	for _, n := range m.Known {
		if !r.named[n] {
			r.named[n] = true
			r.owed++
		}
	}
	return r
}

// owes reports whether an answer from n is due.
func (r *roll) owes(n NodeID) bool {
	if owed, known := r.named[n]; known {
		return owed
	}
	return r.foreign > 0
}

func (r *roll) tick(n NodeID) {
	r.received++
	if r.named[n] {
		r.owed--
	} else {
		r.foreign--
	}
	if n != "" {
		r.named[n] = false
	}
}

// strike takes a node that has left off the roll if it owes an answer.
func (r *roll) strike(n NodeID) {
	if !r.named[n] {
		return
	}
	r.named[n] = false
	r.owed--
	r.expected--
}

func (r *roll) complete() bool { return r.owed == 0 && r.foreign <= 0 }

func (r *roll) missing() []NodeID {
	var ns []NodeID
	for n, owed := range r.named {
		if owed {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return ns
}
