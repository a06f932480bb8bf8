package registry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

// script is what a fake's watches tell, one stream after the other; the last one stays open.
type script struct {
	fake     *fake
	mutex    sync.Mutex
	streams  [][]any
	requests []*pb.WatchRequest
}

// newScript returns a fake whose streams send messages, and end with an error when that is the last.
func newScript(t *testing.T, streams ...[]any) *script {
	t.Helper()
	s := &script{fake: newFake(t), streams: streams}
	s.fake.onStream("Watch", func(stream grpc.ServerStream) error {
		request := &pb.WatchRequest{}
		if err := stream.RecvMsg(request); err != nil {
			return err
		}
		s.mutex.Lock()
		s.requests = append(s.requests, request)
		var steps []any
		if len(s.streams) > 0 {
			steps, s.streams = s.streams[0], s.streams[1:]
		}
		last := len(s.streams) == 0
		s.mutex.Unlock()
		for _, step := range steps {
			if err, ok := step.(error); ok {
				return err
			}
			if err := stream.SendMsg(step); err != nil {
				return err
			}
		}
		if last {
			<-stream.Context().Done()
		}
		return nil
	})
	return s
}

func (s *script) request(at int) *pb.WatchRequest {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.requests[at]
}

func message(kind pb.WatchResponse_Kind, revision int64, names ...string) *pb.WatchResponse {
	made := &pb.WatchResponse{Kind: kind, Revision: revision}
	for _, name := range names {
		made.Events = append(made.Events, &pb.Event{Name: name, ResourceType: "Stage"})
	}
	if kind != pb.WatchResponse_KIND_INITIAL_STATE {
		made.ResumeToken = fmt.Sprintf("t%d", revision)
	}
	return made
}

func events(revision int64, names ...string) *pb.WatchResponse {
	return message(pb.WatchResponse_KIND_EVENTS, revision, names...)
}

func partial(revision int64, names ...string) *pb.WatchResponse {
	made := events(revision, names...)
	made.Partial, made.ResumeToken = true, ""
	return made
}

// told reads so many changes, as `KIND:name@token`.
func told(t *testing.T, watch *registry.Watch, count int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var said []string
	for change, err := range watch.Changes(ctx) {
		noError(t, err)
		said = append(said, fmt.Sprintf("%s:%s@%s", change.Kind, change.Event.GetName(), change.ResumeToken))
		if len(said) == count {
			break
		}
	}
	return strings.Join(said, " ")
}

var away = refusal(codes.Unavailable, "DRAINING", nil, retryInfo(time.Millisecond))

func TestAWatchBeginsWithTheStateAndGoesOnBehindACut(t *testing.T) {
	t.Parallel()
	s := newScript(t,
		[]any{message(pb.WatchResponse_KIND_INITIAL_STATE, 5, "a", "b"), away},
		[]any{
			message(pb.WatchResponse_KIND_INITIAL_STATE, 6, "a"), message(pb.WatchResponse_KIND_INITIAL_STATE_END, 6),
			events(7, "c"), partial(8, "d"), away,
		},
		[]any{partial(8, "d"), events(8, "e"), message(pb.WatchResponse_KIND_PROGRESS, 9), away},
		[]any{events(10, "f")},
	)
	watch := s.fake.client(t).Watch("m@production", registry.WithState(), registry.WithProgressInterval(5*time.Second))
	equal(t, told(t, watch, 8),
		"STATE:a@ STATE:b@ STATE:a@ SYNCED:@t6 EVENT:c@t7 EVENT:d@ EVENT:e@t8 EVENT:f@t10", "changes")
	first := s.request(0)
	equal(t, first.GetParent(), "projects/default/models/m", "parent")
	equal(t, strings.Join(first.GetStages(), " ")+strings.Join(first.GetResourceTypes(), " "), "productionStage", "filters")
	equal(t, first.GetSendInitialState(), true, "state")
	equal(t, first.GetProgressInterval().AsDuration(), 5*time.Second, "interval")
	equal(t, s.request(1).GetSendInitialState(), true, "state once more, as it had not come whole")
	equal(t, s.request(2).GetSendInitialState(), false, "state after it was complete")
	equal(t, s.request(2).GetResumeToken(), "t7", "token behind the last whole revision")
	equal(t, s.request(3).GetResumeToken(), "t9", "token behind progress")
}

func TestWhoStopsInTheMiddleOfARevisionGetsAllOfItAgain(t *testing.T) {
	s := newScript(t, []any{events(4, "z"), events(5, "a", "b")}, []any{events(5, "a", "b")})
	s.streams = append(s.streams, nil)
	watch := s.fake.client(t).Watch("", registry.WithTypes("Stage", "Alias"), registry.WithStages("x"))
	equal(t, told(t, watch, 2), "EVENT:z@t4 EVENT:a@", "changes")
	equal(t, watch.ResumeToken(), "t4", "token")
	equal(t, told(t, watch, 2), "EVENT:a@ EVENT:b@t5", "changes again")
	equal(t, s.request(1).GetResumeToken(), "t4", "token sent")
	equal(t, watch.ResumeToken(), "t5", "token of who stops with the last change")
	equal(t, s.request(0).GetParent(), "projects/default", "parent")
	equal(t, len(s.request(0).GetResourceTypes())+len(s.request(0).GetStages()), 3, "filters")
}

func TestAWatchBeginsAnewWhenItsPlaceIsUnknown(t *testing.T) {
	for _, refused := range []error{
		refusal(codes.FailedPrecondition, "HISTORY_CHANGED", nil), refusal(codes.OutOfRange, "REVISION_COMPACTED", nil),
	} {
		s := newScript(t, []any{refused}, []any{message(pb.WatchResponse_KIND_INITIAL_STATE_END, 3)})
		watch := s.fake.client(t).Watch("m", registry.WithState(), registry.WithResumeToken("old"))
		equal(t, told(t, watch, 1), "SYNCED:@t3", "changes")
		equal(t, s.request(0).GetResumeToken(), "old", "token")
		equal(t, s.request(0).GetSendInitialState(), false, "state beside a token")
		equal(t, s.request(1).GetSendInitialState(), true, "state")
		equal(t, s.request(1).GetResumeToken(), "", "token of the second")

		s = newScript(t, []any{refused})
		for _, err := range s.fake.client(t).Watch("m", registry.WithResumeToken("old")).Changes(t.Context()) {
			if failure, ok := errors.AsType[*registry.Error](err); !ok || failure.Reason == "" {
				t.Fatalf("got %v", err)
			}
		}
		equal(t, len(s.requests), 1, "streams without state")
	}
}

func TestAClosingServerIsLeftForAsLongAsItAsks(t *testing.T) {
	t.Parallel()
	closing := message(pb.WatchResponse_KIND_CLOSING, 6)
	closing.ReconnectAfter = durationpb.New(300 * time.Millisecond)
	s := newScript(t, []any{events(5, "a"), closing}, []any{events(7, "b")})
	began := time.Now()
	equal(t, told(t, s.fake.client(t).Watch("m"), 2), "EVENT:a@t5 EVENT:b@t7", "changes")
	if waited := time.Since(began); waited < 300*time.Millisecond {
		t.Fatalf("it came back after %s", waited)
	}
	equal(t, s.request(1).GetResumeToken(), "t6", "token")
}

func TestAWatchEndsWithWhatDoesNotPassByItself(t *testing.T) {
	for _, each := range []struct {
		refused error
		kind    registry.Kind
	}{
		{refusal(codes.NotFound, "MODEL_NOT_FOUND", nil), registry.ErrNotFound},
		{refusal(codes.PermissionDenied, "PERMISSION_MISSING", nil), registry.ErrPermissionDenied},
		{refusal(codes.Unauthenticated, "TOKEN_REVOKED", nil), registry.ErrUnauthenticated},
	} {
		s := newScript(t, []any{each.refused})
		count := 0
		for _, err := range s.fake.client(t).Watch("m", registry.WithState()).Changes(t.Context()) {
			require(t, err, each.kind)
			count++
		}
		equal(t, count, 1, "errors")
	}
	for _, target := range []string{"m/1", "m@" + digest, "No", "projects/p/models/m/versions/1"} {
		for _, err := range newFake(t).client(t).Watch(target).Changes(t.Context()) {
			require(t, err, registry.ErrInvalidArgument)
		}
	}
}

func TestAWatchOutlivesItsTokenWhenThereIsANewOne(t *testing.T) {
	expired := refusal(codes.Unauthenticated, "TOKEN_EXPIRED", nil)
	s := newScript(t, []any{events(5, "a"), expired}, []any{events(6, "b"), expired}, []any{expired})
	var said []string
	for change, err := range s.fake.client(t).Watch("m").Changes(t.Context()) {
		if err != nil {
			require(t, err, registry.ErrUnauthenticated)
			break
		}
		said = append(said, change.ResumeToken)
	}
	equal(t, strings.Join(said, " "), "t5 t6", "changes")
	equal(t, len(s.requests), 3, "streams")
}

func TestAWatchOutlivesAServerThatIsAway(t *testing.T) {
	t.Parallel()
	s := newScript(t, []any{away}, []any{away}, []any{refusal(codes.Internal, "INTERNAL", nil)}, nil, []any{events(5, "a")})
	equal(t, told(t, s.fake.client(t).Watch(registry.Everything), 1), "EVENT:a@t5", "changes")
	equal(t, s.request(4).GetParent(), "projects/-", "parent")
}

func TestAWatchEndsWithItsContext(t *testing.T) {
	s := newScript(t, []any{events(5, "a")})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for change, err := range s.fake.client(t).Watch("projects/p").Changes(ctx) {
		if last = err; err == nil {
			equal(t, change.Revision, 5, "revision")
			cancel()
		}
	}
	require(t, last, registry.ErrCancelled)
	equal(t, errors.Is(last, context.Canceled), true, "errors.Is(context.Canceled)")
	equal(t, s.request(0).GetParent(), "projects/p", "parent")
}

func TestAWatchEndsWithItsClient(t *testing.T) {
	s := newScript(t, []any{events(5, "a")})
	client := s.fake.client(t)
	var last error
	for _, err := range client.Watch("m").Changes(t.Context()) {
		if last = err; err == nil {
			noError(t, client.Close())
		}
	}
	require(t, last, registry.ErrCancelled)
	began := time.Now()
	_, err := client.Resolve(t.Context(), "m")
	require(t, err, registry.ErrCancelled)
	_, err = client.OpenArtifact(t.Context(), "a")
	require(t, err, registry.ErrCancelled)
	if waited := time.Since(began); waited > 90*time.Millisecond {
		t.Fatalf("it tried for %s", waited)
	}
}
