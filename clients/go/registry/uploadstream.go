package registry

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

const (
	chunkBytes = 1 << 20
	// stallTimeout is without a chunk taken by the transport: then the stream counts as dead.
	stallTimeout = 2 * time.Minute
	// completeTimeout is from the last chunk to the answer: a resumed upload is read back once before it completes.
	completeTimeout = 15 * time.Minute
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type writeStream = grpc.ClientStreamingClient[pb.WriteUploadRequest, pb.Upload]

// stream is one WriteUpload call: everything from the persisted offset to the end, and the upload as the server answers.
func (u *fileUpload) stream(ctx context.Context, upload *pb.Upload) (*pb.Upload, error) {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	stalled := time.AfterFunc(stallTimeout, cancel)
	defer stalled.Stop()
	call, err := u.client.Artifacts.WriteUpload(within)
	if err != nil {
		return nil, err
	}
	err = u.send(call, upload, stalled)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, u.unstalled(ctx, within, err)
	}
	// io.EOF means that the server has ended the stream; its answer says why.
	answer, err := call.CloseAndRecv()
	if err != nil {
		return nil, u.unstalled(ctx, within, err)
	}
	return answer, nil
}

// unstalled tells a stream that we gave up from one that the caller or the server ended.
func (u *fileUpload) unstalled(ctx, within context.Context, err error) error {
	if ctx.Err() == nil && within.Err() != nil {
		return late("the upload of %s made no progress for too long", u.digest.Path)
	}
	return err
}

// send sends the chunks and the end. It returns io.EOF when the server ended the stream meanwhile.
func (u *fileUpload) send(call writeStream, upload *pb.Upload, stalled *time.Timer) error {
	offset, name := upload.GetPersistedSize(), upload.GetName()
	reader, err := u.from.open(offset)
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	limit := int64(chunkBytes)
	if most := upload.GetMaxChunkBytes(); most > 0 {
		limit = min(limit, most)
	}
	for offset < u.digest.Size {
		// A buffer of its own for each: gRPC may look at a message after it was sent.
		content := make([]byte, min(limit, u.digest.Size-offset))
		if _, err := io.ReadFull(reader, content); err != nil {
			return changed(u.from)
		}
		if err := call.Send(chunkOf(name, offset, content)); err != nil {
			return err
		}
		name = ""
		offset += int64(len(content))
		stalled.Reset(stallTimeout)
		u.tell(offset)
	}
	if err := u.from.check(); err != nil {
		return err
	}
	stalled.Reset(completeTimeout)
	return call.Send(&pb.WriteUploadRequest{
		Name: name, WriteOffset: offset, FinishWrite: true, Digest: u.digest.message(),
	})
}

func chunkOf(name string, offset int64, content []byte) *pb.WriteUploadRequest {
	return &pb.WriteUploadRequest{
		Name:        name,
		WriteOffset: offset,
		Chunk:       &pb.Chunk{Content: content, Crc32C: proto.Uint32(crc32.Checksum(content, castagnoli))},
	}
}
