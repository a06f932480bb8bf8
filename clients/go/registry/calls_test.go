package registry_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

const revisionKey, minRevisionKey = "x-registry-revision", "x-registry-min-revision"

func TestAMutationIsSentAgainUnderTheSameRequestID(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.answers("CreateModel", status.Error(codes.Unavailable, "away"), status.Error(codes.Unavailable, "away"), &pb.Model{})
	request := &pb.CreateModelRequest{Parent: "projects/p", ModelId: "m"}
	client := f.client(t)
	_, err := client.Models.CreateModel(t.Context(), request)
	noError(t, err)
	calls := f.asked("CreateModel")
	equal(t, len(calls), 3, "calls")
	first := calls[0].request.(*pb.CreateModelRequest).GetRequestId()
	equal(t, len(first), 36, "length of the request_id")
	equal(t, calls[2].request.(*pb.CreateModelRequest).GetRequestId(), first, "request_id of the third")
	equal(t, request.GetRequestId(), "", "request_id of the caller's message")

	_, err = client.Models.CreateModel(t.Context(), request)
	noError(t, err)
	if again := f.asked("CreateModel")[3].request.(*pb.CreateModelRequest).GetRequestId(); again == first {
		t.Fatal("a second call with the same message was sent as a repetition of the first")
	}
}

func TestARequestIDOfTheCallerIsKept(t *testing.T) {
	f := newFake(t)
	f.answers("CreateModel", &pb.Model{})
	_, err := f.client(t).Models.CreateModel(t.Context(), &pb.CreateModelRequest{RequestId: "mine"})
	noError(t, err)
	equal(t, f.asked("CreateModel")[0].request.(*pb.CreateModelRequest).GetRequestId(), "mine", "request_id")
}

func TestOnlyWhatPassesByItselfIsSentAgain(t *testing.T) {
	for _, each := range []struct {
		code   codes.Code
		reason string
		calls  int
	}{
		{codes.Aborted, "TRANSACTION_CONFLICT", 2},
		{codes.ResourceExhausted, "RATE_LIMITED", 2},
		{codes.Canceled, "", 2},
		{codes.Unavailable, "DRAINING", 2},
		{codes.Aborted, "STAGE_MOVED", 1},
		{codes.ResourceExhausted, "QUOTA_EXCEEDED", 1},
		{codes.Internal, "INTERNAL", 1},
		{codes.NotFound, "MODEL_NOT_FOUND", 1},
	} {
		t.Run(each.code.String()+each.reason, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.answers("GetModel", refusal(each.code, each.reason, nil, retryInfo(time.Millisecond)), &pb.Model{})
			_, err := f.client(t).Models.GetModel(t.Context(), &pb.GetModelRequest{})
			equal(t, len(f.asked("GetModel")), each.calls, "calls")
			equal(t, err == nil, each.calls == 2, "success")
		})
	}
}

func TestItGivesUpAfterFiveCalls(t *testing.T) {
	f := newFake(t)
	f.answers("GetModel", refusal(codes.Aborted, "TRANSACTION_CONFLICT", nil, retryInfo(time.Millisecond)))
	_, err := f.client(t).Models.GetModel(t.Context(), &pb.GetModelRequest{})
	require(t, err, registry.ErrConflict)
	equal(t, len(f.asked("GetModel")), 5, "calls")
}

func TestAnErrorTellsWhatTheServerSaid(t *testing.T) {
	f := newFake(t)
	f.answers("GetModel", refusal(codes.InvalidArgument, "INVALID_FIELD", map[string]string{"field": "name"},
		retryInfo(1500*time.Millisecond),
		&errdetails.RequestInfo{RequestId: "r-1"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "name", Description: "bad"}}},
		&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Subject: "s", Description: "d"}}},
		&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: "q", Description: "full"}}},
	))
	_, err := f.client(t).Models.GetModel(t.Context(), &pb.GetModelRequest{})
	failure := require(t, err, registry.ErrInvalidArgument)
	equal(t, failure.Reason, "INVALID_FIELD", "reason")
	equal(t, registry.ReasonOf(err), "INVALID_FIELD", "ReasonOf")
	equal(t, failure.Code, codes.InvalidArgument, "code")
	equal(t, status.Code(err), codes.InvalidArgument, "status")
	equal(t, failure.Metadata["field"], "name", "metadata")
	equal(t, failure.RetryAfter, 1500*time.Millisecond, "retry after")
	equal(t, failure.RequestID, "r-1", "request id")
	equal(t, len(failure.Violations), 3, "violations")
	equal(t, failure.Violations[0], registry.Violation{Subject: "name", Description: "bad"}, "violation")
	if errors.Is(err, registry.ErrNotFound) {
		t.Fatal("it is two kinds at once")
	}
}

func TestTheReasonDecidesWhereTheStatusWouldSaySomethingElse(t *testing.T) {
	f := newFake(t)
	f.answers("GetModel", refusal(codes.InvalidArgument, "DIGEST_MISMATCH", nil))
	_, err := f.client(t).Models.GetModel(t.Context(), &pb.GetModelRequest{})
	equal(t, require(t, err, registry.ErrIntegrity).Code, codes.InvalidArgument, "code")
}

func TestDetailsOfAnotherDomainAreNoReason(t *testing.T) {
	f := newFake(t)
	strange, err := status.New(codes.NotFound, "no").WithDetails(&errdetails.ErrorInfo{Domain: "proxy", Reason: "GONE"})
	noError(t, err)
	f.answers("GetModel", strange.Err())
	_, err = f.client(t).Models.GetModel(t.Context(), &pb.GetModelRequest{})
	equal(t, require(t, err, registry.ErrNotFound).Reason, "", "reason")
}

func TestOneErrorOfABatchIsTypedToo(t *testing.T) {
	refused, _ := status.FromError(refusal(codes.NotFound, "STAGE_VACANT", nil))
	failure := registry.ErrorFromStatus(refused.Proto())
	if !errors.Is(failure, registry.ErrNotFound) || failure.Reason != "STAGE_VACANT" {
		t.Fatal(failure)
	}
}

func TestTheCallersContextIsSeenThroughTheError(t *testing.T) {
	f := newFake(t)
	began := make(chan struct{}, 1)
	f.on("GetModel", func(ctx context.Context, _ proto.Message) (proto.Message, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	client := f.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	_, err := client.Models.GetModel(ctx, &pb.GetModelRequest{})
	require(t, err, registry.ErrCancelled)
	equal(t, errors.Is(err, context.Canceled), true, "errors.Is(context.Canceled)")
	equal(t, len(f.asked("GetModel")), 1, "calls")

	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = client.Models.GetModel(ctx, &pb.GetModelRequest{})
	require(t, err, registry.ErrDeadlineExceeded)
	equal(t, errors.Is(err, context.DeadlineExceeded), true, "errors.Is(context.DeadlineExceeded)")
}

func TestACallWithoutADeadlineGetsOne(t *testing.T) {
	f := newFake(t)
	left := make(chan time.Duration, 1)
	f.on("GetModel", func(ctx context.Context, _ proto.Message) (proto.Message, error) {
		end, _ := ctx.Deadline()
		left <- time.Until(end)
		return &pb.Model{}, nil
	})
	client := f.client(t, registry.WithTimeout(7*time.Second))
	_, err := client.Models.GetModel(t.Context(), &pb.GetModelRequest{})
	noError(t, err)
	if found := <-left; found <= 0 || found > 7*time.Second {
		t.Fatalf("%s are left", found)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	_, err = client.Models.GetModel(ctx, &pb.GetModelRequest{})
	noError(t, err)
	if found := <-left; found < 50*time.Minute {
		t.Fatalf("the caller's own deadline was cut to %s", found)
	}
}

func writes(revision string) unaryHandler {
	return func(ctx context.Context, _ proto.Message) (proto.Message, error) {
		return &pb.Model{}, grpc.SetTrailer(ctx, metadata.Pairs(revisionKey, revision))
	}
}

func TestAReadIsAsFreshAsTheLastWrite(t *testing.T) {
	f := newFake(t)
	f.on("CreateModel", writes("41"))
	f.on("GetModel", writes("99"))
	client := f.client(t)
	ctx := t.Context()
	for range 2 {
		_, err := client.Models.GetModel(ctx, &pb.GetModelRequest{})
		noError(t, err)
	}
	_, err := client.Models.CreateModel(ctx, &pb.CreateModelRequest{})
	noError(t, err)
	inside, err := client.InProject("team")
	noError(t, err)
	_, err = inside.Models.GetModel(ctx, &pb.GetModelRequest{})
	noError(t, err)
	reads := f.asked("GetModel")
	equal(t, reads[1].header(minRevisionKey), "", "revision after a read only")
	equal(t, reads[2].header(minRevisionKey), "41", "revision after a write")
	equal(t, f.asked("CreateModel")[0].header(minRevisionKey), "", "revision of a write")
	equal(t, client.Revision(), 41, "Revision")

	f.on("CreateModel", writes("12"))
	_, err = client.Models.CreateModel(ctx, &pb.CreateModelRequest{})
	noError(t, err)
	equal(t, client.Revision(), 41, "Revision after an answer that was late")

	_, err = client.Models.GetModel(registry.WithMinRevision(ctx, 77), &pb.GetModelRequest{})
	noError(t, err)
	_, err = client.Models.GetModel(registry.WithMinRevision(ctx, 5), &pb.GetModelRequest{})
	noError(t, err)
	reads = f.asked("GetModel")
	equal(t, reads[3].header(minRevisionKey), "77", "a fresher read")
	equal(t, reads[4].header(minRevisionKey), "41", "a staler wish")
}

func TestWritesAreForgottenWhenAnotherRegistryAnswers(t *testing.T) {
	f := newFake(t)
	f.on("CreateModel", writes("41"))
	f.answers("GetModel", refusal(codes.OutOfRange, "REVISION_UNKNOWN", nil), &pb.Model{})
	client := f.client(t)
	_, err := client.Models.CreateModel(t.Context(), &pb.CreateModelRequest{})
	noError(t, err)
	_, err = client.Models.GetModel(t.Context(), &pb.GetModelRequest{})
	noError(t, err)
	reads := f.asked("GetModel")
	equal(t, reads[0].header(minRevisionKey), "41", "first")
	equal(t, reads[1].header(minRevisionKey), "", "second")

	f.answers("GetModel", refusal(codes.OutOfRange, "REVISION_UNKNOWN", nil))
	_, err = client.Models.GetModel(registry.WithMinRevision(t.Context(), 9), &pb.GetModelRequest{})
	require(t, err, registry.ErrOutOfRange)
}

func TestWritesAreForgottenByEveryReadThatAskedForThem(t *testing.T) {
	f := newFake(t)
	f.on("CreateModel", writes("41"))
	var together sync.WaitGroup
	together.Add(4)
	f.on("GetModel", func(ctx context.Context, _ proto.Message) (proto.Message, error) {
		headers, _ := metadata.FromIncomingContext(ctx)
		if len(headers.Get(minRevisionKey)) > 0 {
			together.Done()
			together.Wait()
			return nil, refusal(codes.OutOfRange, "REVISION_UNKNOWN", nil)
		}
		return &pb.Model{}, nil
	})
	client := f.client(t)
	_, err := client.Models.CreateModel(t.Context(), &pb.CreateModelRequest{})
	noError(t, err)
	failures := make(chan error, 4)
	for range 4 {
		go func() {
			_, err := client.Models.GetModel(t.Context(), &pb.GetModelRequest{})
			failures <- err
		}()
	}
	for range 4 {
		noError(t, <-failures)
	}
}

func TestServerInfoTellsThatTheRegistryIsAnother(t *testing.T) {
	f := newFake(t)
	f.on("CreateModel", writes("41"))
	f.answers("GetServerInfo", &pb.ServerInfo{RegistryUid: "a"}, &pb.ServerInfo{RegistryUid: "a"}, &pb.ServerInfo{RegistryUid: "b"})
	client := f.client(t)
	_, err := client.Models.CreateModel(t.Context(), &pb.CreateModelRequest{})
	noError(t, err)
	for _, want := range []int64{41, 41, 0} {
		_, err = client.Server.GetServerInfo(t.Context(), &pb.GetServerInfoRequest{})
		noError(t, err)
		equal(t, client.Revision(), want, "Revision")
	}
}

func TestAllFetchesPageByPage(t *testing.T) {
	f := newFake(t)
	f.on("ListModels", func(_ context.Context, request proto.Message) (proto.Message, error) {
		pages := map[string]*pb.ListModelsResponse{
			"":  {Models: []*pb.Model{{Name: "a"}, {Name: "b"}}, NextPageToken: "2"},
			"2": {NextPageToken: "3"},
			"3": {Models: []*pb.Model{{Name: "c"}}},
		}
		return pages[request.(*pb.ListModelsRequest).GetPageToken()], nil
	})
	client := f.client(t)
	request := &pb.ListModelsRequest{Parent: "projects/p"}
	var names string
	for model, err := range registry.All(t.Context(), client.Models.ListModels, request, (*pb.ListModelsResponse).GetModels) {
		noError(t, err)
		names += model.GetName()
	}
	equal(t, names, "abc", "names")
	equal(t, request.GetPageToken(), "", "page token of the caller's message")
	equal(t, len(f.asked("ListModels")), 3, "calls")
	for range registry.All(t.Context(), client.Models.ListModels, request, (*pb.ListModelsResponse).GetModels) {
		break
	}
	equal(t, len(f.asked("ListModels")), 4, "calls after a reader that stopped")

	f.answers("ListModels", refusal(codes.NotFound, "PROJECT_NOT_FOUND", nil))
	for _, err := range registry.All(t.Context(), client.Models.ListModels, request, (*pb.ListModelsResponse).GetModels) {
		require(t, err, registry.ErrNotFound)
	}
}
