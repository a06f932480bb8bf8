package registry_test

import (
	"context"
	"errors"
	"net"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

type (
	unaryHandler  func(ctx context.Context, request proto.Message) (proto.Message, error)
	streamHandler func(stream grpc.ServerStream) error
)

// call is what a fake was asked.
type call struct {
	method   string
	metadata metadata.MD
	request  proto.Message
}

func (c call) header(key string) string {
	if values := c.metadata.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// fake is a server in this process that answers as a test says: what the real one does only when it is broken.
type fake struct {
	endpoint string
	server   *grpc.Server

	mutex   sync.Mutex
	unary   map[string]unaryHandler
	streams map[string]streamHandler
	calls   []call
}

func newFake(t *testing.T, options ...grpc.ServerOption) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{endpoint: listener.Addr().String(), unary: map[string]unaryHandler{}, streams: map[string]streamHandler{}}
	f.server = grpc.NewServer(append(options, grpc.UnaryInterceptor(f.handleUnary), grpc.StreamInterceptor(f.handleStream))...)
	pb.RegisterServerServiceServer(f.server, pb.UnimplementedServerServiceServer{})
	pb.RegisterProjectServiceServer(f.server, pb.UnimplementedProjectServiceServer{})
	pb.RegisterModelServiceServer(f.server, pb.UnimplementedModelServiceServer{})
	pb.RegisterStageServiceServer(f.server, pb.UnimplementedStageServiceServer{})
	pb.RegisterArtifactServiceServer(f.server, pb.UnimplementedArtifactServiceServer{})
	pb.RegisterEventServiceServer(f.server, pb.UnimplementedEventServiceServer{})
	go func() { _ = f.server.Serve(listener) }()
	t.Cleanup(f.server.Stop)
	return f
}

// client returns a client of the fake that takes nothing from the environment.
func (f *fake) client(t *testing.T, options ...registry.Option) *registry.Client {
	t.Helper()
	return newClient(t, append([]registry.Option{
		registry.WithEndpoint(f.endpoint), registry.WithToken("secret"), registry.WithProject("default"),
	}, options...)...)
}

func newClient(t *testing.T, options ...registry.Option) *registry.Client {
	t.Helper()
	client, err := registry.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (f *fake) on(method string, handler unaryHandler) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.unary[method] = handler
}

func (f *fake) onStream(method string, handler streamHandler) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.streams[method] = handler
}

// answers makes a method answer, one after the other; the last one stays. An answer is a message or an error.
func (f *fake) answers(method string, answers ...any) {
	var mutex sync.Mutex
	f.on(method, func(context.Context, proto.Message) (proto.Message, error) {
		mutex.Lock()
		defer mutex.Unlock()
		answer := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		if err, ok := answer.(error); ok {
			return nil, err
		}
		return answer.(proto.Message), nil
	})
}

// asked returns the calls of a method.
func (f *fake) asked(method string) []call {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(c call) bool { return c.method != method })
}

func (f *fake) note(ctx context.Context, method string, request any) {
	sent, _ := metadata.FromIncomingContext(ctx)
	message, _ := request.(proto.Message)
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.calls = append(f.calls, call{method, sent, message})
}

func (f *fake) handleUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	f.note(ctx, method, request)
	f.mutex.Lock()
	handler := f.unary[method]
	f.mutex.Unlock()
	if handler == nil {
		return nil, status.Errorf(codes.Unimplemented, "no test says what %s answers", method)
	}
	return handler(ctx, request.(proto.Message))
}

func (f *fake) handleStream(_ any, stream grpc.ServerStream, info *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
	method := path.Base(info.FullMethod)
	f.note(stream.Context(), method, nil)
	f.mutex.Lock()
	handler := f.streams[method]
	f.mutex.Unlock()
	if handler == nil {
		return status.Errorf(codes.Unimplemented, "no test says what %s answers", method)
	}
	return handler(stream)
}

// refusal is an error as the registry raises it.
func refusal(code codes.Code, reason string, facts map[string]string, more ...protoadapt.MessageV1) error {
	details := append([]protoadapt.MessageV1{
		&errdetails.ErrorInfo{Domain: registry.Domain, Reason: reason, Metadata: facts},
	}, more...)
	refused, err := status.New(code, "no: "+reason).WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return refused.Err()
}

func retryInfo(after time.Duration) *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(after)}
}

// require ends the test when an error is not of a kind, or no *registry.Error; it returns the error.
func require(t *testing.T, err error, kind registry.Kind) *registry.Error {
	t.Helper()
	failure, ok := errors.AsType[*registry.Error](err)
	if !ok || !errors.Is(err, kind) {
		t.Fatalf("got error %v, want one of kind %s", err, kind)
	}
	return failure
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, got, want T, what string) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
