package registry

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"path"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

const (
	revisionKey    = "x-registry-revision"
	minRevisionKey = "x-registry-min-revision"
	maxCalls       = 5
	firstCallPause = 100 * time.Millisecond
)

// unmarkedWrites are the mutations that take no request_id.
var unmarkedWrites = []string{"CancelUpload", "CollectGarbage", "HeartbeatDeployments", "TestWebhook", "WriteUpload"}

// slowCalls may take longer than the deadline of a common call.
var slowCalls = map[string]time.Duration{
	"FinalizeVersion": 5 * time.Minute,
	"CollectGarbage":  time.Minute,
	"PurgeModel":      time.Minute,
	"PurgeProject":    time.Minute,
}

// WithMinRevision returns a context whose reads are at least as fresh as revision: see [Client.Revision].
func WithMinRevision(ctx context.Context, revision int64) context.Context {
	return metadata.AppendToOutgoingContext(ctx, minRevisionKey, strconv.FormatInt(revision, 10))
}

// interceptUnary gives a call its deadline, request_id and wished revision, sends it again where that is safe, and
// returns an *Error.
func (c *Client) interceptUnary(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	if _, bounded := ctx.Deadline(); !bounded {
		limited, cancel := context.WithTimeout(ctx, max(c.settings.timeout, slowCalls[path.Base(method)]))
		defer cancel()
		ctx = limited
	}
	request, writes := marked(request)
	writes = writes || slices.Contains(unmarkedWrites, path.Base(method))
	ctx = withRequestID(ctx)
	for attempt := 1; ; attempt++ {
		wished := c.written.Load()
		if writes {
			wished = 0
		}
		var trailer metadata.MD
		err := invoke(freshAs(ctx, wished), method, request, reply, connection,
			append(slices.Clip(options), grpc.Trailer(&trailer))...)
		if err == nil {
			c.noteReply(reply, trailer, writes)
			return nil
		}
		failure := c.failed(ctx, err, trailer)
		pause, again := pauseBefore(ctx, failure, attempt)
		if c.forgets(failure, wished) {
			pause, again = 0, true
		}
		if !again || attempt == maxCalls || !sleep(ctx, pause) {
			return failure
		}
	}
}

// failed returns the error of a call.
func (c *Client) failed(ctx context.Context, err error, trailer metadata.MD) *Error {
	failure := errorFromCall(ctx, err, trailer)
	failure.final = failure.final || c.closed.Load()
	return failure
}

// noteReply remembers what a call told beside its answer.
func (c *Client) noteReply(reply any, trailer metadata.MD, writes bool) {
	if info, ok := reply.(*pb.ServerInfo); ok {
		uid := info.GetRegistryUid()
		if before := c.uid.Swap(&uid); before != nil && *before != uid {
			// Another registry answers now.
			c.written.Store(0)
		}
	}
	if writes {
		c.noteWrite(trailer)
	}
}

// noteWrite remembers the revision a write of ours reached.
func (c *Client) noteWrite(trailer metadata.MD) {
	for _, value := range trailer.Get(revisionKey) {
		revision, err := strconv.ParseInt(value, 10, 64)
		for err == nil {
			before := c.written.Load()
			if revision <= before || c.written.CompareAndSwap(before, revision) {
				break
			}
		}
	}
}

// forgets reports whether a read failed because another registry, or an older copy of this one, answers now: what we
// wrote is not in it, and nobody can wait for it.
func (c *Client) forgets(failure *Error, wished int64) bool {
	if failure.Reason != "REVISION_UNKNOWN" || wished == 0 {
		return false
	}
	// When it is another by now, another goroutine found out before, and may have written since.
	c.written.CompareAndSwap(wished, 0)
	return true
}

// pauseBefore returns how long to wait before a call is sent again, and whether it may be. Unavailability is not dealt
// with here: the service config does that.
func pauseBefore(ctx context.Context, failure *Error, attempt int) (time.Duration, bool) {
	pause := firstCallPause << (attempt - 1)
	switch {
	case ctx.Err() != nil, failure.final:
		return 0, false
	case failure.Kind == ErrCancelled:
		// Not by us: a call that comes in the very moment a server stops is refused by gRPC in this way. Another replica
		// answers, or this one when it is back.
	case failure.Reason == "TRANSACTION_CONFLICT", failure.Reason == "RATE_LIMITED":
		if failure.RetryAfter > 0 {
			pause = failure.RetryAfter
		}
	default:
		return 0, false
	}
	pause = spread(pause)
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= pause {
		return 0, false
	}
	return pause, true
}

// marked returns the request with a request_id if it takes one, and whether it does. The caller's own is left alone: sent
// a second time with the same id it would only be answered, not done.
func marked(request any) (any, bool) {
	message, ok := request.(proto.Message)
	if !ok {
		return request, false
	}
	field := message.ProtoReflect().Descriptor().Fields().ByName("request_id")
	if field == nil || field.Kind() != protoreflect.StringKind {
		return request, false
	}
	if message.ProtoReflect().Get(field).String() != "" {
		return request, true
	}
	message = proto.Clone(message)
	message.ProtoReflect().Set(field, protoreflect.ValueOfString(newUUID()))
	return message, true
}

func withRequestID(ctx context.Context) context.Context {
	if sent, ok := metadata.FromOutgoingContext(ctx); ok && len(sent.Get(requestIDKey)) > 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, requestIDKey, newUUID())
}

// freshAs asks for an answer at least as fresh as revision; a caller who asks for more keeps that.
func freshAs(ctx context.Context, revision int64) context.Context {
	if revision == 0 {
		return ctx
	}
	sent, _ := metadata.FromOutgoingContext(ctx)
	for _, value := range sent.Get(minRevisionKey) {
		if asked, err := strconv.ParseInt(value, 10, 64); err != nil || asked >= revision {
			return ctx
		}
	}
	sent = sent.Copy()
	sent.Set(minRevisionKey, strconv.FormatInt(revision, 10))
	return metadata.NewOutgoingContext(ctx, sent)
}

// newUUID returns a random UUID (version 4).
func newUUID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// spread keeps callers that failed together from coming back together.
func spread(pause time.Duration) time.Duration {
	return time.Duration(float64(pause) * (0.8 + 0.4*mathrand.Float64()))
}

// sleep waits; false when the context was done before.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
