package redisadapter

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// beginning is before every entry.
const beginning cluster.Offset = "0-0"

// markField is the only field of a mark: an entry without namespace, which all
// readers skip. It is written where a stream has no entry that a position could
// be compared with later, above all into a new stream: without it nobody could
// tell that a stream which was lost and one that took its place are two. The
// value is the position which the writer had in the former one, or "-".
const markField = "dunlin"

var (
	errVanished  = errors.New("the stream is gone, and what it had")
	errBackwards = errors.New("the ids of the stream went backwards")
	errTrimmed   = errors.New("entries were removed before they were read")
)

// align finds out whether reading can go on where it was, after a connection was
// made and whenever nothing came for a while. If not, it finds another place.
func (r *streamReader) align(ctx context.Context, c *redis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, replyGrace)
	defer cancel()
	info, err := streamInfo(ctx, c, r.stream)
	if err != nil {
		return err
	}
	if r.at == "" {
		r.at = info.last
	} else {
		kept, err := r.kept(ctx, c, info)
		if err != nil {
			return err
		}
		if !kept {
			r.moved(info)
		}
	}
	r.found()
	switch end := info.newest(); {
	case end == r.at:
		r.stand()
	case end.Compare(r.at) < 0: // no entry to stand on, and none to come
		return r.mark(ctx, c)
	}
	return nil
}

// kept reports whether the stream still continues what was read.
func (r *streamReader) kept(ctx context.Context, c *redis.Client, info *streamState) (bool, error) {
	r.mu.Lock()
	standing := r.standing
	r.mu.Unlock()
	if !standing { // nothing to compare with but the end
		return info.last.Compare(r.at) >= 0, nil
	}
	return info.holds(ctx, c, r.stream, r.at)
}

// moved goes on elsewhere: entries are missing, or may be.
func (r *streamReader) moved(info *streamState) {
	cause := errTrimmed
	r.former = r.at
	switch {
	case info.length == 0:
		cause = errVanished
		r.at = info.last
	case info.last.Compare(r.at) < 0:
		cause = errBackwards
		r.at = info.last
		if since, ok := info.first.Values[markField].(string); ok && cluster.Offset(since).Compare(r.began) >= 0 {
			r.at = beginning // it was made after the one that we read: all of it is new
		}
	case info.added == info.length: // nothing was removed from this one
		cause = errVanished
	}
	r.missed(fmt.Errorf("stream %s at %s: %w", r.stream, r.former, cause))
}

// missed notes that entries may be missing; the listeners are told before the
// next one.
func (r *streamReader) missed(cause error) {
	r.mu.Lock()
	r.standing, r.position = false, ""
	r.epoch++
	r.mu.Unlock()
	r.report.gaps.Add(1)
	r.report.trouble("stream has a gap", cause)
}

// verify checks that what was just read follows the present position.
func (r *streamReader) verify(ctx context.Context, c *redis.Client) error {
	r.mu.Lock()
	standing := r.standing
	r.mu.Unlock()
	if !standing {
		return nil
	}
	entries, err := c.XRangeN(ctx, r.stream, string(r.at), string(r.at), 1).Result()
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		r.missed(fmt.Errorf("stream %s at %s: %w", r.stream, r.at, errTrimmed))
	}
	return nil
}

// mark writes an entry to stand on.
func (r *streamReader) mark(ctx context.Context, c *redis.Client) error {
	was := "-"
	if r.former != "" {
		was = string(r.former)
	}
	return c.XAdd(ctx, &redis.XAddArgs{
		Stream: r.stream, MaxLen: int64(r.opts.MaxLen), Approx: true, Values: []string{markField, was},
	}).Err()
}

// streamState is what XINFO STREAM tells; the zero value, with beginning as last,
// of a stream that does not exist.
type streamState struct {
	length int64
	added  int64 // entries since it was made; 0 before Redis 7
	first  redis.XMessage
	end    redis.XMessage
	last   cluster.Offset // the last id that was given, even if the entry was removed
}

func streamInfo(ctx context.Context, c redis.Cmdable, stream string) (*streamState, error) {
	return stateOf(stream, c.XInfoStream(ctx, stream))
}

func stateOf(stream string, cmd *redis.XInfoStreamCmd) (*streamState, error) {
	info, err := cmd.Result()
	if redis.HasErrorPrefix(err, "no such key") {
		return &streamState{last: beginning}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the end of stream %s: %w", stream, err)
	}
	return &streamState{
		length: info.Length, added: info.EntriesAdded, first: info.FirstEntry, end: info.LastEntry,
		last: cluster.Offset(info.LastGeneratedID),
	}, nil
}

// newest returns the id of the newest entry, or an empty one.
func (s *streamState) newest() cluster.Offset { return cluster.Offset(s.end.ID) }

// holds reports whether everything that was written after a position is still
// there. That is certain in two cases: its entry is there, since the oldest are
// removed first; or nothing was written after it. Any other position is of another
// stream, of one that was lost, or too old. (What Redis tells of removed entries
// says no more: max-deleted-entry-id knows nothing of trimming.)
func (s *streamState) holds(ctx context.Context, c redis.Cmdable, stream string, at cluster.Offset) (bool, error) {
	if at == beginning {
		return false, nil
	}
	if at == s.last {
		return true, nil
	}
	entries, err := c.XRangeN(ctx, stream, string(at), string(at), 1).Result()
	return len(entries) > 0, err
}
