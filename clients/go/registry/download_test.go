package registry_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"io"
	"testing"
	"testing/iotest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

// reads is the part of a fake that gives files out. It is used by one stream at a time.
type reads struct {
	fake  *fake
	files map[string][]byte
	// chunk is how many bytes one message has.
	chunk int
	// cut ends a stream before this offset; taken once for each entry.
	cut []int64
	// damage changes a message before it is sent; taken once.
	damage func(answer *pb.ReadArtifactResponse)
	// lie is what the bytes of every file are instead.
	lie      func(content []byte) []byte
	requests []*pb.ReadArtifactRequest
}

func newReads(t *testing.T, files map[string][]byte) *reads {
	t.Helper()
	r := &reads{fake: newFake(t), files: files, chunk: mib}
	r.fake.onStream("ReadArtifact", r.read)
	return r
}

func artifactOf(path string, content []byte) *pb.Artifact {
	sum := sha256.Sum256(content)
	return &pb.Artifact{
		Name: registry.ArtifactName(version, path), Path: path,
		Digest: &pb.Digest{Sha256: hex.EncodeToString(sum[:]), SizeBytes: int64(len(content))},
	}
}

func (r *reads) read(stream grpc.ServerStream) error {
	request := &pb.ReadArtifactRequest{}
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	r.fake.mutex.Lock()
	r.requests = append(r.requests, request)
	r.fake.mutex.Unlock()
	for path, content := range r.files {
		if artifact := artifactOf(path, content); artifact.GetName() == request.GetName() {
			if r.lie != nil {
				content = r.lie(bytes.Clone(content))
			}
			return r.send(stream, request, artifact, content)
		}
	}
	return refusal(codes.NotFound, "ARTIFACT_NOT_FOUND", nil)
}

func (r *reads) send(stream grpc.ServerStream, request *pb.ReadArtifactRequest, artifact *pb.Artifact, content []byte) error {
	offset, end := request.GetReadOffset(), int64(len(content))
	if offset > end {
		return refusal(codes.OutOfRange, "READ_OFFSET", nil)
	}
	if request.GetReadLimit() > 0 {
		end = min(end, offset+request.GetReadLimit())
	}
	limit := int64(-1)
	if len(r.cut) > 0 {
		limit, r.cut = r.cut[0], r.cut[1:]
	}
	answer := &pb.ReadArtifactResponse{Artifact: artifact, Offset: offset}
	for first := true; first || offset < end; first = false {
		part := content[offset:min(end, offset+int64(r.chunk))]
		answer.Offset = offset
		answer.Chunk = &pb.Chunk{Content: part, Crc32C: proto.Uint32(crc32.Checksum(part, crc32.MakeTable(crc32.Castagnoli)))}
		if limit >= 0 && offset >= limit {
			return refusal(codes.Unavailable, "DRAINING", nil)
		}
		if r.damage != nil {
			r.damage(answer)
			r.damage = nil
		}
		if err := stream.SendMsg(answer); err != nil {
			return err
		}
		offset += int64(len(part))
		answer = &pb.ReadArtifactResponse{}
	}
	return nil
}

func (r *reads) readAll(t *testing.T, path string) ([]byte, error) {
	t.Helper()
	reader, err := r.fake.client(t).OpenArtifact(t.Context(), registry.ArtifactName(version, path))
	if err != nil {
		return nil, err
	}
	defer func() { noError(t, reader.Close()) }()
	return io.ReadAll(reader)
}

func TestAFileIsReadAsAStream(t *testing.T) {
	content := randomBytes(3*mib + 5)
	r := newReads(t, map[string][]byte{"a": content})
	reader, err := r.fake.client(t).OpenArtifact(t.Context(), registry.ArtifactName(version, "a"))
	noError(t, err)
	defer func() { noError(t, reader.Close()) }()
	equal(t, reader.Artifact().GetPath(), "a", "path")
	noError(t, iotest.TestReader(reader, content))
}

func TestReadingGoesOnWhereTheStreamWasCut(t *testing.T) {
	t.Parallel()
	content := randomBytes(5*mib + 5)
	r := newReads(t, map[string][]byte{"a": content})
	r.cut = []int64{2 * mib, 0, 4 * mib}
	got, err := r.readAll(t, "a")
	noError(t, err)
	equal(t, bytes.Equal(got, content), true, "content")
	equal(t, len(r.requests), 4, "streams")
	equal(t, r.requests[0].GetSha256(), "", "digest asked for first")
	equal(t, r.requests[3].GetReadOffset(), 4*mib, "offset of the last")
	equal(t, r.requests[3].GetSha256(), artifactOf("a", content).GetDigest().GetSha256(), "digest asked for last")
}

func TestAChunkDamagedOnTheWayIsAskedForAgain(t *testing.T) {
	t.Parallel()
	content := randomBytes(mib)
	r := newReads(t, map[string][]byte{"a": content})
	r.damage = func(answer *pb.ReadArtifactResponse) {
		answer.Chunk.Content = bytes.Clone(answer.GetChunk().GetContent())
		answer.Chunk.Content[7] ^= 1
	}
	got, err := r.readAll(t, "a")
	noError(t, err)
	equal(t, bytes.Equal(got, content), true, "content")
	equal(t, len(r.requests), 2, "streams")
}

func TestWrongBytesAreNeverTheEndOfAFile(t *testing.T) {
	content := randomBytes(mib)
	for name, each := range map[string]func(r *reads){
		"other bytes":  func(r *reads) { r.lie = func(b []byte) []byte { b[9] ^= 1; return b } },
		"other offset": func(r *reads) { r.damage = func(a *pb.ReadArtifactResponse) { a.Offset = 3 } },
		"no digest":    func(r *reads) { r.damage = func(a *pb.ReadArtifactResponse) { a.Artifact.Digest = nil } },
		"corrupt": func(r *reads) {
			r.fake.onStream("ReadArtifact", func(grpc.ServerStream) error {
				return refusal(codes.DataLoss, "ARTIFACT_CORRUPT", nil)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReads(t, map[string][]byte{"a": content})
			each(r)
			_, err := r.readAll(t, "a")
			require(t, err, registry.ErrIntegrity)
		})
	}
}

func TestAFileReplacedWhileItIsReadIsNotMixed(t *testing.T) {
	t.Parallel()
	r := newReads(t, map[string][]byte{"a": randomBytes(2 * mib)})
	r.cut = []int64{mib}
	reader, err := r.fake.client(t).OpenArtifact(t.Context(), registry.ArtifactName(version, "a"))
	noError(t, err)
	r.files = map[string][]byte{"a": make([]byte, 2*mib)}
	_, err = io.Copy(io.Discard, reader)
	require(t, err, registry.ErrIntegrity)
	noError(t, reader.Close())
}

func TestARangeIsRead(t *testing.T) {
	content := randomBytes(3 * mib)
	r := newReads(t, map[string][]byte{"a": content})
	client, name := r.fake.client(t), registry.ArtifactName(version, "a")
	for _, each := range []struct{ offset, length, from, to int64 }{
		{0, -1, 0, 3 * mib}, {5, 10, 5, 15}, {mib - 1, 2 * mib, mib - 1, 3*mib - 1}, {3 * mib, -1, 3 * mib, 3 * mib},
		{10, 1 << 40, 10, 3 * mib}, {4, 0, 4, 4},
	} {
		reader, err := client.OpenArtifactRange(t.Context(), name, each.offset, each.length)
		noError(t, err)
		got, err := io.ReadAll(reader)
		noError(t, err)
		equal(t, bytes.Equal(got, content[each.from:each.to]), true, "content")
		noError(t, reader.Close())
	}
	_, err := client.OpenArtifactRange(t.Context(), name, 3*mib+1, -1)
	require(t, err, registry.ErrOutOfRange)
	_, err = client.OpenArtifactRange(t.Context(), name, -1, -1)
	require(t, err, registry.ErrInvalidArgument)
	_, err = client.OpenArtifact(t.Context(), registry.ArtifactName(version, "none"))
	require(t, err, registry.ErrNotFound)
}

func TestADownloadIsReportedAndStopsWhenItsContextDoes(t *testing.T) {
	content := randomBytes(4 * mib)
	r := newReads(t, map[string][]byte{"a": content})
	client, name := r.fake.client(t), registry.ArtifactName(version, "a")
	var got bytes.Buffer
	var last registry.Progress
	file, err := client.Download(t.Context(), name, &got, registry.WithProgress(func(p registry.Progress) { last = p }))
	noError(t, err)
	equal(t, file.GetPath(), "a", "path")
	equal(t, bytes.Equal(got.Bytes(), content), true, "content")
	equal(t, last, registry.Progress{Phase: registry.PhaseDownload, Path: "a", Done: 4 * mib, Size: 4 * mib}, "progress")

	ctx, cancel := context.WithCancel(t.Context())
	_, err = client.Download(ctx, name, io.Discard, registry.WithProgress(func(registry.Progress) { cancel() }))
	require(t, err, registry.ErrCancelled)
}

func TestAReadAfterAWriteForgetsItWhenAnotherRegistryAnswers(t *testing.T) {
	r := newReads(t, map[string][]byte{"a": []byte("hello")})
	r.fake.on("CreateModel", writes("41"))
	client := r.fake.client(t)
	_, err := client.Models.CreateModel(t.Context(), &pb.CreateModelRequest{})
	noError(t, err)
	inner := r.read
	r.fake.onStream("ReadArtifact", func(stream grpc.ServerStream) error {
		if calls := r.fake.asked("ReadArtifact"); calls[len(calls)-1].header(minRevisionKey) == "41" {
			return refusal(codes.OutOfRange, "REVISION_UNKNOWN", nil)
		}
		return inner(stream)
	})
	reader, err := client.OpenArtifact(t.Context(), registry.ArtifactName(version, "a"))
	noError(t, err)
	noError(t, reader.Close())
}
