package registry

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

// Everything is the target of a watch over every project the caller may see.
const Everything = "projects/-"

const (
	firstWatchPause = 100 * time.Millisecond
	maxWatchPause   = 5 * time.Second
)

// ChangeKind is what a change is.
type ChangeKind string

// The kinds of changes.
const (
	// ChangeState: the resource is there; part of the state a watch begins with.
	ChangeState ChangeKind = "STATE"
	// ChangeSynced: the state is complete; whatever was known before and did not come is gone.
	ChangeSynced ChangeKind = "SYNCED"
	// ChangeEvent: it happened.
	ChangeEvent ChangeKind = "EVENT"
)

// Change is one thing a watch tells.
type Change struct {
	// Kind of change.
	Kind ChangeKind
	// Revision it was committed as, or that of the state.
	Revision int64
	// Event is nil only when the kind is ChangeSynced.
	Event *pb.Event
	// ResumeToken is where to go on once this was dealt with; empty while more of its revision, or of the state, is to
	// come.
	ResumeToken string
}

// WatchOption is a setting of a watch.
type WatchOption func(*Watch)

// WithState begins with the present state, and again when the registry no longer knows the place: after a restore, or when
// the watch was away for too long. Without it that is an error.
func WithState() WatchOption { return func(w *Watch) { w.anew = true } }

// WithResumeToken goes on where the token stands.
func WithResumeToken(token string) WatchOption {
	return func(w *Watch) { w.request.ResumeToken = token }
}

// WithTypes watches only resources of these types, as in the contract: "Stage", "ModelVersion", …
func WithTypes(types ...string) WatchOption {
	return func(w *Watch) { w.request.ResourceTypes = types }
}

// WithStages watches, of stages, only these.
func WithStages(stages ...string) WatchOption {
	return func(w *Watch) { w.request.Stages = stages }
}

// WithProgressInterval says how often the server tells that nothing happened: 5 s to 60 s, 10 s by default.
func WithProgressInterval(interval time.Duration) WatchOption {
	return func(w *Watch) { w.request.ProgressInterval = durationpb.New(interval) }
}

// Watch tells changes as they happen, over restarts, cuts and replicas, none missed and none twice.
type Watch struct {
	client  *Client
	fault   error
	request *pb.WatchRequest
	// anew is whether to begin with the state when it must.
	anew bool

	mutex sync.Mutex
	token string
	pause time.Duration
	// renewed is whether the stream was opened because a token had ended, and nothing came since.
	renewed bool
	// held are events of a revision that did not come whole yet.
	held []*pb.Event
}

// Watch returns a watch of a model (`fraud`), a stage of a model (`fraud@production`), a project or model by its resource
// name, [Everything], or with an empty target the project of this client. Nothing is connected before its changes are
// asked for. A target that is a version, which never changes, is [ErrInvalidArgument] then.
func (c *Client) Watch(target string, options ...WatchOption) *Watch {
	w := &Watch{client: c, request: &pb.WatchRequest{}, pause: firstWatchPause}
	for _, option := range options {
		option(w)
	}
	w.request.SendInitialState = w.anew && w.request.GetResumeToken() == ""
	w.token = w.request.GetResumeToken()
	w.fault = w.aim(target)
	return w
}

// aim turns the target into the request's parent and stage.
func (w *Watch) aim(target string) error {
	project := projectForm.FindString(target)
	switch {
	case target == "":
		w.request.Parent = "projects/" + w.client.settings.project
		return nil
	case target == Everything || project != "":
		w.request.Parent = target
		return nil
	}
	found, err := w.client.Reference(target)
	if err != nil {
		return err
	}
	if found.Number != 0 || found.Digest != "" {
		return invalid("%s is a version, which never changes; watch %s or a stage", target, found.Model)
	}
	w.request.Parent = found.ModelName()
	if found.Pointer != "" {
		w.request.Stages = []string{found.Pointer}
		if len(w.request.GetResourceTypes()) == 0 {
			w.request.ResourceTypes = []string{"Stage"}
		}
	}
	return nil
}

// ResumeToken returns where this watch stands; give it to a new one to go on there. Empty until the first place is known.
func (w *Watch) ResumeToken() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.token
}

// Changes yields the changes, for as long as the context lives; an error is the last thing it yields, that of the context
// too. When the stream breaks it comes back by itself, wherever a replica answers, for as long as that takes. To range
// over it again goes on behind the last revision that was read whole. One goroutine at a time.
func (w *Watch) Changes(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		if w.fault != nil {
			yield(Change{}, w.fault)
			return
		}
		for {
			wanted, err := w.follow(ctx, yield)
			if !wanted {
				return
			}
			if err = w.survive(ctx, err); err != nil {
				yield(Change{}, err)
				return
			}
		}
	}
}

// follow is one stream, to its end; false when nobody wants more.
func (w *Watch) follow(ctx context.Context, yield func(Change, error) bool) (bool, error) {
	w.held = nil
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	request := proto.CloneOf(w.request)
	stream, err := w.client.Events.Watch(within, request, grpc.WaitForReady(true))
	if err != nil {
		return true, err
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return true, err
		}
		w.pause, w.renewed = firstWatchPause, false
		for _, change := range w.changes(message) {
			if !yield(change, nil) {
				// Who ends with the last change of a revision had it; who ends before gets all of it again.
				if change.ResumeToken != "" {
					w.stand(change.ResumeToken)
				}
				return false, nil
			}
		}
		if isPlace(message) {
			w.stand(message.GetResumeToken())
		}
		if message.GetKind() == pb.WatchResponse_KIND_CLOSING && !sleep(ctx, message.GetReconnectAfter().AsDuration()) {
			return true, ctx.Err()
		}
	}
}

// isPlace reports whether a watch can go on behind a message. Every whole one has a token, the end of the state too.
func isPlace(message *pb.WatchResponse) bool {
	return !message.GetPartial() && message.GetKind() != pb.WatchResponse_KIND_INITIAL_STATE &&
		message.GetResumeToken() != ""
}

// changes returns what a message tells, with all that was held when it ends a revision.
func (w *Watch) changes(message *pb.WatchResponse) []Change {
	var changes []Change
	switch message.GetKind() {
	case pb.WatchResponse_KIND_INITIAL_STATE:
		for _, event := range message.GetEvents() {
			changes = append(changes, Change{ChangeState, message.GetRevision(), event, ""})
		}
	case pb.WatchResponse_KIND_INITIAL_STATE_END:
		changes = []Change{{ChangeSynced, message.GetRevision(), nil, message.GetResumeToken()}}
	case pb.WatchResponse_KIND_EVENTS:
		w.held = append(w.held, message.GetEvents()...)
		if message.GetPartial() {
			return nil
		}
		for _, event := range w.held {
			changes = append(changes, Change{ChangeEvent, message.GetRevision(), event, ""})
		}
		w.held = nil
		if len(changes) > 0 {
			changes[len(changes)-1].ResumeToken = message.GetResumeToken()
		}
	}
	return changes
}

func (w *Watch) stand(token string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.token = token
	w.request.SendInitialState = false
	w.request.ResumeToken = token
}

// survive waits until it is worth coming back, or returns why it is not.
func (w *Watch) survive(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return stopped(ctx, errorFromCall(ctx, err, nil))
	}
	var retryAfter time.Duration
	if !errors.Is(err, io.EOF) {
		failure := asError(err)
		if slices.Contains([]string{"HISTORY_CHANGED", "REVISION_COMPACTED"}, failure.Reason) && w.anew {
			w.request.ResumeToken = ""
			w.request.SendInitialState = true
			return nil
		}
		if failure.Reason == "TOKEN_EXPIRED" && !w.renewed {
			// The next stream takes the token that a rotated file has by now; one that was merely given has ended for good.
			w.renewed = true
			return nil
		}
		if !isTransient(failure) {
			return failure
		}
		retryAfter = failure.RetryAfter
	}
	if !sleep(ctx, spread(max(retryAfter, w.pause))) {
		return stopped(ctx, nil)
	}
	w.pause = min(maxWatchPause, w.pause*2)
	return nil
}
