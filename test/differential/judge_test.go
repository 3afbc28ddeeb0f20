package differential_test

import (
	"slices"
	"testing"
)

// judge examines inputs and counts.
type judge struct {
	peer               *peer
	accepted, rejected int            // by both
	excused            map[string]int // by name of the difference
}

// examine returns for each input the first difference that nobody reviewed, or
// nil.
func (j *judge) examine(inputs []input) ([]*finding, error) {
	answers, err := j.peer.ask(inputs)
	if err != nil {
		return nil, err
	}
	findings := make([]*finding, len(inputs))
	var questions []question
	var about []int // the input of each question
	for i, in := range inputs {
		ours := decode(in.codec, in.frames)
		f, next := compare(in, ours, answers[i])
		findings[i] = j.review(f)
		for range next {
			about = append(about, i)
		}
		questions = append(questions, next...)
		switch {
		case ours.err == nil && !answers[i].rejected():
			j.accepted++
		case ours.err != nil && answers[i].rejected():
			j.rejected++
		}
	}
	asked := make([]input, len(questions))
	for i, q := range questions {
		asked[i] = q.in
	}
	if answers, err = j.peer.ask(asked); err != nil {
		return nil, err
	}
	for i, q := range questions {
		if f := j.review(q.judge(answers[i])); f != nil && findings[about[i]] == nil {
			findings[about[i]] = f
		}
	}
	return findings, nil
}

// review returns f unless it is a difference that we want.
func (j *judge) review(f *finding) *finding {
	if f == nil {
		return nil
	}
	parts := []within{}
	for _, d := range differences(f.in.codec) {
		if d.applies.excuses(f) {
			j.excused[d.name]++
			return nil
		}
		if w, ok := d.applies.(within); ok && w.stage == f.stage {
			parts = append(parts, w)
		}
	}
	together := within{f.stage, func(f *finding, a, b any) bool {
		return slices.ContainsFunc(parts, func(w within) bool { return w.same(f, a, b) })
	}}
	if together.excuses(f) {
		j.excused["several"]++
		return nil
	}
	return f
}

// shrink leaves out of f's input what it can while there is still a finding of the
// kind.
func (j *judge) shrink(t *testing.T, f *finding) *finding {
	t.Helper()
	j = &judge{peer: j.peer, excused: map[string]int{}} // with counts of its own
	for size := 64; size > 0; {
		var smaller []input
		for k, frame := range f.in.frames {
			for at := 0; at < len(frame.Data); at += max(size/4, 1) {
				end := min(at+size, len(frame.Data))
				smaller = append(smaller, replaced(f.in, k, at, end, ""))
				if end-at > 1 { // where something must be
					smaller = append(smaller, replaced(f.in, k, at, end, "0"), replaced(f.in, k, at, end, "\xc0"))
				}
			}
			if len(f.in.frames) > 1 {
				smaller = append(smaller, input{f.in.codec, slices.Delete(slices.Clone(f.in.frames), k, k+1)})
			}
		}
		smaller = slices.DeleteFunc(smaller, endless)
		findings, err := j.examine(smaller)
		if err != nil {
			t.Fatal(err)
		}
		same := func(g *finding) bool { return g != nil && g.kind() == f.kind() }
		if i := slices.IndexFunc(findings, same); i >= 0 {
			f = findings[i]
		} else {
			size /= 2
		}
	}
	return f
}

// replaced returns in with a part of message k replaced.
func replaced(in input, k, at, end int, by string) input {
	in.frames = slices.Clone(in.frames)
	in.frames[k].Data = slices.Replace(slices.Clone(in.frames[k].Data), at, end, []byte(by)...)
	return in
}
