package redisadapter

import (
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// doubts find out what became of entries whose connection broke before Redis had
// answered. A stream remembers, and keeps the order: if it has two more of our
// entries than we know of, they are the first two that are in doubt. So nothing
// is lost by a restart of a Redis that keeps its data, nor written twice.
//
// It belongs to the goroutine of the publisher.
type doubts map[string]*doubt // by stream

type doubt struct {
	known string // id of our last entry that Redis has confirmed, or of one before our first
	vague bool   // what came after it is not known, and cannot be found out
	open  int    // entries in doubt
}

// begin takes a message that is sent now. What was read of the stream before the
// first one is before all of ours.
func (d doubts) begin(o *outgoing) {
	if o.command != addEntry || o.entry.log == nil || d[o.channel] != nil {
		return
	}
	if at, _ := o.entry.log.where(); at != "" {
		d[o.channel] = &doubt{known: string(at)}
	}
}

// written notes that Redis has confirmed an entry.
func (d doubts) written(o *outgoing, cmd redis.Cmder) {
	if o.command != addEntry {
		return
	}
	if id, ok := cmd.(*redis.StringCmd); ok {
		d[o.channel] = &doubt{known: id.Val()}
	}
}

// add takes a message of which it is not known whether Redis has it. It reports
// whether that can be found out.
func (d doubts) add(o *outgoing, err error) bool {
	if o.command != addEntry {
		return false
	}
	s := d[o.channel]
	if s == nil {
		s = &doubt{vague: true}
		d[o.channel] = s
	}
	if s.vague {
		return false
	}
	if !severed(err) || o.entry.uid() == emitterUID {
		s.vague = true // Redis may write it at any time, or others write alike
		return false
	}
	s.open++
	o.doubt = s.open
	return true
}

// severed reports whether a connection failed in such a way that Redis carries
// out nothing more of what it was told.
func severed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// settle returns the messages of a batch that still have to be sent, and how many
// Redis turned out to have. lost are those of which that could not be found out.
func (d doubts) settle(ctx context.Context, c redis.Cmdable, batch []outgoing) (rest, lost []outgoing, had int, err error) {
	have := make(map[string]int)
	for stream, s := range d {
		if s.open == 0 {
			continue
		}
		if have[stream], err = s.count(ctx, c, stream, batch); err != nil {
			return batch, nil, 0, err
		}
	}
	rest = batch[:0:0]
	for _, o := range batch {
		n, found := have[o.channel]
		switch {
		case o.doubt == 0 || found && n >= 0 && o.doubt > n:
			o.doubt = 0
			rest = append(rest, o)
		case n < 0:
			lost = append(lost, o)
		default:
			had++
		}
	}
	for stream := range have {
		d[stream].open = 0
	}
	return rest, lost, had, nil
}

// count returns how many of our entries follow the last that is known, or -1 if
// that is gone. The last of them is known from then on.
func (s *doubt) count(ctx context.Context, c redis.Cmdable, stream string, batch []outgoing) (n int, err error) {
	ours := ""
	for i := range batch {
		if batch[i].doubt > 0 && batch[i].channel == stream {
			ours = batch[i].entry.uid()
		}
	}
	const size = 100
	for from := s.known; ; {
		page, err := c.XRangeN(ctx, stream, from, "+", size).Result()
		if err != nil {
			return 0, err
		}
		if len(page) == 0 || page[0].ID != from {
			s.vague = true
			return -1, nil
		}
		for _, x := range page[1:] {
			if uid, _ := x.Values["uid"].(string); uid == ours {
				n++
				s.known = x.ID
			}
		}
		if len(page) < size {
			return n, nil
		}
		from = page[len(page)-1].ID
	}
}
