package registry_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

const (
	version = "projects/default/models/m/versions/1"
	mib     = 1 << 20
)

// uploads is the part of a fake that takes uploads, persisting whole parts as the real one does.
type uploads struct {
	fake *fake
	part int64
	// cut ends a stream with an error behind so many bytes of it; taken once for each entry.
	cut []int64
	// refuse is what the ends of streams are refused with, one after the other.
	refuse []error
	// finalizing is how often a look finds the upload still completing.
	finalizing int

	mutex   sync.Mutex
	started *pb.StartUploadRequest
	content []byte
	offsets []int64
	state   pb.Upload_State
}

func newUploads(t *testing.T) *uploads {
	t.Helper()
	u := &uploads{fake: newFake(t), part: 2 * mib}
	u.fake.answers("ListUploads", &pb.ListUploadsResponse{})
	u.fake.on("StartUpload", func(_ context.Context, request proto.Message) (proto.Message, error) {
		u.mutex.Lock()
		defer u.mutex.Unlock()
		u.started, u.content, u.state = request.(*pb.StartUploadRequest), nil, pb.Upload_STATE_ACTIVE
		return u.upload(), nil
	})
	u.fake.on("GetUpload", func(context.Context, proto.Message) (proto.Message, error) {
		u.mutex.Lock()
		defer u.mutex.Unlock()
		if u.state == pb.Upload_STATE_FINALIZING {
			if u.finalizing--; u.finalizing < 0 {
				u.state = pb.Upload_STATE_COMMITTED
			}
		}
		return u.upload(), nil
	})
	u.fake.onStream("WriteUpload", u.write)
	return u
}

func (u *uploads) upload() *pb.Upload {
	made := &pb.Upload{Name: "projects/default/uploads/u", Path: u.started.GetPath(), State: u.state, MaxChunkBytes: mib}
	made.WriteStatus = &pb.Upload_PersistedSize{PersistedSize: int64(len(u.content))}
	if u.state == pb.Upload_STATE_COMMITTED {
		made.WriteStatus = &pb.Upload_Artifact{Artifact: &pb.Artifact{Name: "a", Path: u.started.GetPath()}}
	}
	return made
}

func (u *uploads) write(stream grpc.ServerStream) error {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	limit := int64(-1)
	if len(u.cut) > 0 {
		limit, u.cut = u.cut[0], u.cut[1:]
	}
	received := bytes.Clone(u.content)
	defer func() { u.content = received[:int64(len(received))/u.part*u.part] }()
	for first := true; ; first = false {
		message := &pb.WriteUploadRequest{}
		if err := stream.RecvMsg(message); err != nil {
			return err
		}
		if first {
			u.offsets = append(u.offsets, message.GetWriteOffset())
		}
		content := message.GetChunk().GetContent()
		if int64(len(received)) != message.GetWriteOffset() {
			return refusal(codes.OutOfRange, "OFFSET_AHEAD", nil)
		}
		if content != nil && crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli)) != message.GetChunk().GetCrc32C() {
			return refusal(codes.InvalidArgument, "CHUNK_CHECKSUM", nil)
		}
		received = append(received, content...)
		if limit >= 0 && int64(len(received)) >= limit {
			return refusal(codes.Unavailable, "DRAINING", nil)
		}
		if message.GetFinishWrite() {
			return u.finish(stream, message, received)
		}
	}
}

func (u *uploads) finish(stream grpc.ServerStream, last *pb.WriteUploadRequest, received []byte) error {
	if len(u.refuse) > 0 {
		err := u.refuse[0]
		u.refuse = u.refuse[1:]
		return err
	}
	if sum := sha256.Sum256(received); hex.EncodeToString(sum[:]) != last.GetDigest().GetSha256() {
		return refusal(codes.InvalidArgument, "DIGEST_MISMATCH", nil)
	}
	u.state = pb.Upload_STATE_COMMITTED
	if u.finalizing > 0 {
		u.state = pb.Upload_STATE_FINALIZING
	}
	stream.SetTrailer(metadata.Pairs(revisionKey, "55"))
	return stream.SendMsg(u.upload())
}
