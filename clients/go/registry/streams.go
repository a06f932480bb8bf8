package registry

import (
	"context"
	"errors"
	"io"
	"path"

	"google.golang.org/grpc"
)

// freshStreams are the streams that read resources, which must not be older than what we wrote.
var freshStreams = map[string]bool{"ReadArtifact": true, "ExportAuditEntries": true}

// interceptStream does for streams what interceptUnary does for calls, except that it sends nothing again.
func (c *Client) interceptStream(
	ctx context.Context, description *grpc.StreamDesc, connection *grpc.ClientConn, method string, open grpc.Streamer,
	options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx = withRequestID(ctx)
	var wished int64
	if freshStreams[path.Base(method)] {
		wished = c.written.Load()
	}
	opened, err := open(freshAs(ctx, wished), description, connection, method, options...)
	if err != nil {
		return nil, c.failed(ctx, err, nil)
	}
	return &stream{ClientStream: opened, client: c, ctx: ctx, wished: wished, single: !description.ServerStreams}, nil
}

// stream makes errors typed and notes what the server said at the end.
type stream struct {
	grpc.ClientStream
	client *Client
	ctx    context.Context
	wished int64
	// single is whether one answer ends the stream.
	single bool
}

// RecvMsg receives; io.EOF at the end.
func (s *stream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if err == nil {
		if s.single {
			s.client.noteWrite(s.Trailer())
		}
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	failure := s.client.failed(s.ctx, err, s.Trailer())
	s.client.forgets(failure, s.wished)
	return failure
}

// SendMsg sends; io.EOF when the server ended the stream, and RecvMsg says why.
func (s *stream) SendMsg(message any) error {
	err := s.ClientStream.SendMsg(message)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return s.client.failed(s.ctx, err, nil)
}
