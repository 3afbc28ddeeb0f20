package redisadapter

import (
	"context"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// check tries what the subscriptions do not show, until it went well once: that
// Redis lets this node publish, count the nodes and, in the mode Streams, write
// and look things up. Only what is forbidden is an error: other trouble passes, and
// is told where it matters. No other node notices the trial.
func (a *Adapter) check(ctx context.Context, l *link) error {
	if a.allowed.Load() {
		return nil
	}
	_, err := within(ctx, a.sub, func() (struct{}, error) { return struct{}{}, a.try(ctx, l) })
	switch {
	case forbidden(err):
		a.report.trouble("does not allow what nodes need", err)
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		a.allowed.Store(true)
	}
	return nil
}

// try does each thing once, and tells all that is forbidden.
func (a *Adapter) try(ctx context.Context, l *link) error {
	hello, count := outgoing{command: publish, channel: l.own}, "PUBSUB NUMSUB" // nobody else hears that
	if a.opts.shardChannels() {
		hello.command, count = shardPublish, "PUBSUB SHARDNUMSUB"
	}
	batch := a.client.Pipeline()
	hello.append(ctx, batch, nil)
	_, err := batch.Exec(ctx)
	errs := []error{explained(hello.name(), err)}
	_, err = numSub(ctx, a.client, a.sub.sharded, []string{l.own})
	errs = append(errs, explained(count, err))
	if l.recording != nil {
		for _, stream := range l.recording.streams {
			errs = append(errs, a.tryStream(ctx, stream))
		}
	}
	return errors.Join(errs...)
}

// tryStream leaves a stream as it is: no entry may have the id 0-0.
func (a *Adapter) tryStream(ctx context.Context, stream string) error {
	err := a.client.XAdd(ctx, &redis.XAddArgs{Stream: stream, NoMkStream: true, ID: string(beginning), Values: []string{markField, "-"}}).Err()
	if err = explained("XADD "+strconv.Quote(stream), err); !forbidden(err) {
		err = nil
	}
	looked := a.client.XRangeN(ctx, stream, string(beginning), string(beginning), 1).Err()
	return errors.Join(err, explained("XRANGE "+strconv.Quote(stream), looked))
}

func forbidden(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused) && refused.Reason == Forbidden
}
