package redisadapter

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// Since implements cluster.SessionStore.
func (l recordedLink) Since(ctx context.Context, from cluster.Offset, most int) ([]cluster.Message, error) {
	if err := l.err(); err != nil {
		return nil, err
	}
	if !from.Valid() {
		return nil, fmt.Errorf("%w: %.40q is no offset", cluster.ErrTrimmed, string(from))
	}
	stream := l.recording.log.stream
	c, err := masterOf(ctx, l.adapter.client, stream)
	if err != nil {
		return nil, err
	}
	size := int64(l.adapter.opts.Streams.ReadCount)
	state, page, err := firstPage(ctx, c, stream, from, size+1)
	if err != nil {
		return nil, err
	}
	var messages []cluster.Message
	var once guard
	for {
		for i := range page {
			if cluster.Offset(page[i].ID).Compare(state.last) > 0 {
				return messages, nil // was not there yet when we were called
			}
			m, ok := l.recording.replay(&page[i], &once)
			if !ok {
				continue
			}
			if len(messages) == most {
				return nil, fmt.Errorf("%w: more than %d messages", cluster.ErrTrimmed, most)
			}
			messages = append(messages, m)
		}
		if int64(len(page)) < size {
			return messages, nil
		}
		if page, err = nextPage(ctx, c, stream, page[len(page)-1].ID, size+1); err != nil {
			return nil, err
		}
	}
}

// firstPage reads what follows an offset, and checks at the same moment that
// nothing is missing between the two; see streamState.holds.
func firstPage(
	ctx context.Context, c *redis.Client, stream string, from cluster.Offset, size int64,
) (*streamState, []redis.XMessage, error) {
	tx := c.TxPipeline()
	info := tx.XInfoStream(ctx, stream)
	entries := tx.XRangeN(ctx, stream, string(from), "+", size)
	_, _ = tx.Exec(ctx) // both commands have the error that concerns them
	state, err := stateOf(stream, info)
	if err != nil {
		return nil, nil, err
	}
	page, err := entries.Result()
	if err != nil {
		return nil, nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	switch {
	case from.Compare(state.last) > 0:
		return nil, nil, cluster.ErrFuture
	case len(page) > 0 && page[0].ID == string(from):
		return state, page[1:], nil
	case from == state.last && from != beginning:
		return state, page, nil
	}
	return nil, nil, fmt.Errorf("%w: no entry %s", cluster.ErrTrimmed, from)
}

// nextPage reads on behind an entry, which must still be there.
func nextPage(ctx context.Context, c *redis.Client, stream, last string, size int64) ([]redis.XMessage, error) {
	page, err := c.XRangeN(ctx, stream, last, "+", size).Result()
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	if len(page) == 0 || page[0].ID != last {
		return nil, fmt.Errorf("%w: entries were removed meanwhile", cluster.ErrTrimmed)
	}
	return page[1:], nil
}

// replay reads an entry again. ok is false for those that are of no interest to
// the namespace, and for what was dropped when it came in.
func (r *recording) replay(x *redis.XMessage, g *guard) (m cluster.Message, ok bool) {
	if namespace, _ := x.Values["nsp"].(string); namespace != r.codec.namespace {
		return m, false
	}
	e := entryOf(x.Values)
	if r.trust(&e, x.ID, g) != nil {
		return m, false
	}
	m, err := r.codec.fromEntry(e)
	if err != nil {
		return m, false
	}
	m.Offset = cluster.Offset(x.ID)
	switch b := m.Body.(type) {
	case cluster.Broadcast:
		return m, b.RequestID == ""
	case cluster.Join, cluster.Leave, cluster.Disconnect:
		return m, true
	case cluster.FetchSockets, cluster.Rooms, cluster.Emit, cluster.Leaving, cluster.AckCount, cluster.AckReply,
		cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied, cluster.Again,
		cluster.Repeated, cluster.Said, cluster.Where:
	}
	return m, false
}
