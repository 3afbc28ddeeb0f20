package main

import (
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// section is a part of a table under a title of its own.
type section[T any] struct {
	title string
	items []T
}

// row is a feature and whether it is there.
type row struct {
	id, state, title, note string
}

// difference is something that the JavaScript server does otherwise.
type difference struct {
	id, js, ours, why string
	option            string // what brings the other behaviour; may be empty
}

var (
	rowID        = regexp.MustCompile(`^T-\d{2,3}$`)
	differenceID = regexp.MustCompile(`^J-\d{2}$`)
)

// lines yields the lines of a source that say something, with their numbers.
func lines(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(text) {
			n++
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "#") && !yield(n, line) {
				return
			}
		}
	}
}

// parseRows reads sections of lines "id | state | title | note".
func parseRows(text string) (sections []section[row], err error) {
	var errs []error
	last := ""
	for n, line := range lines(text) {
		if title, ok := strings.CutPrefix(line, "= "); ok {
			sections = append(sections, section[row]{title: title})
			continue
		}
		fields := strings.Split(line, "|")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if len(fields) == 3 {
			fields = append(fields, "")
		}
		if len(fields) != 4 || len(sections) == 0 {
			errs = append(errs, fmt.Errorf("rows.txt:%d: want a section, then id | state | title | note", n))
			continue
		}
		r := row{fields[0], fields[1], fields[2], fields[3]}
		if err := r.check(last); err != nil {
			errs = append(errs, fmt.Errorf("rows.txt:%d: %w", n, err))
		}
		last = r.id
		s := &sections[len(sections)-1]
		s.items = append(s.items, r)
	}
	return sections, errors.Join(errs...)
}

func (r row) check(before string) error {
	switch {
	case !rowID.MatchString(r.id):
		return fmt.Errorf("%q is no id", r.id)
	case number(r.id) <= number(before):
		return fmt.Errorf("%s comes after %s", r.id, before)
	case !slices.Contains([]string{"yes", "part", "no"}, r.state):
		return fmt.Errorf("%s: state %q, want yes, part or no", r.id, r.state)
	case r.title == "":
		return fmt.Errorf("%s has no title", r.id)
	case r.state != "yes" && r.note == "":
		return fmt.Errorf("%s does not say what is missing", r.id)
	}
	return nil
}

// number is that in an id; 0 where there is none.
func number(id string) int {
	_, digits, _ := strings.Cut(id, "-")
	n, _ := strconv.Atoi(digits)
	return n
}

// parseDifferences reads sections of blocks: an id alone on its line, then
// lines "js: ...", "dunlin: ...", "why: ..." and maybe "option: ...".
func parseDifferences(text string) (sections []section[difference], err error) {
	var errs []error
	var current *difference
	last := ""
	done := func() {
		if current != nil && (current.js == "" || current.ours == "" || current.why == "") {
			errs = append(errs, fmt.Errorf("differences.txt: %s wants js, dunlin and why", current.id))
		}
		current = nil
	}
	for n, line := range lines(text) {
		if title, ok := strings.CutPrefix(line, "= "); ok {
			done()
			sections = append(sections, section[difference]{title: title})
			continue
		}
		if differenceID.MatchString(line) && len(sections) > 0 {
			done()
			if number(line) <= number(last) {
				errs = append(errs, fmt.Errorf("differences.txt:%d: %s comes after %s", n, line, last))
			}
			last = line
			s := &sections[len(sections)-1]
			s.items = append(s.items, difference{id: line})
			current = &s.items[len(s.items)-1]
			continue
		}
		if !current.set(line) {
			errs = append(errs, fmt.Errorf("differences.txt:%d: %q is not understood, or comes twice", n, line))
		}
	}
	done()
	return sections, errors.Join(errs...)
}

// set takes a line of a block and reports whether it belongs there.
func (d *difference) set(line string) bool {
	key, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if d == nil || value == "" || strings.Contains(value, "|") { // which would end a cell
		return false
	}
	field := map[string]*string{"js": &d.js, "dunlin": &d.ours, "why": &d.why, "option": &d.option}[key]
	if field == nil || *field != "" {
		return false
	}
	*field = value
	return true
}
