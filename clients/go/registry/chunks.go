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

// readTimeout is of one stream; one that got bytes by then simply goes on in the next.
const readTimeout = 5 * time.Minute

type readStream = grpc.ServerStreamingClient[pb.ReadArtifactResponse]

// chunks reads a range of a file chunk by chunk, each checked by its CRC32C, going on where a cut stream ended.
type chunks struct {
	client *Client
	name   string
	// file is nil until the first answer, unless the caller knows it before.
	file *pb.Artifact
	// offset is the next byte, end the one behind the last; end is -1 until the file is known when everything is wanted.
	offset, end int64
	// pending came with the first answer.
	pending []byte

	stream readStream
	cancel context.CancelFunc
	waits  patience
}

// next returns the next bytes, io.EOF behind the last.
func (c *chunks) next(ctx context.Context) ([]byte, error) {
	for {
		if c.file != nil && c.offset >= c.end {
			c.close()
			return nil, io.EOF
		}
		content, err := c.pending, error(nil)
		if c.pending = nil; len(content) == 0 {
			content, err = c.receive(ctx)
		}
		if err != nil {
			c.close()
			if err := c.waits.wait(ctx, asError(err)); err != nil {
				return nil, err
			}
			continue
		}
		if len(content) > 0 {
			c.offset += int64(len(content))
			c.waits.moved()
			return content, nil
		}
	}
}

// begin makes sure that the file is known, or says why it cannot be read.
func (c *chunks) begin(ctx context.Context) error {
	for c.file == nil {
		content, err := c.receive(ctx)
		if err == nil {
			c.pending = content
			continue
		}
		c.close()
		if err := c.waits.wait(ctx, asError(err)); err != nil {
			return err
		}
	}
	return nil
}

// receive returns what one message brings, perhaps nothing.
func (c *chunks) receive(ctx context.Context) ([]byte, error) {
	if c.stream == nil {
		if err := c.open(ctx); err != nil {
			return nil, err
		}
	}
	answer, err := c.stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, unavailable("the stream of %s ended at byte %d", c.name, c.offset)
	}
	if err != nil {
		return nil, err
	}
	if answer.GetArtifact() != nil {
		if err := c.learn(answer.GetArtifact()); err != nil {
			return nil, err
		}
	}
	content := answer.GetChunk().GetContent()
	if len(content) == 0 || (c.file != nil && c.offset >= c.end) {
		return nil, nil
	}
	return content, c.check(answer)
}

func (c *chunks) open(ctx context.Context) error {
	request := &pb.ReadArtifactRequest{Name: c.name, ReadOffset: c.offset, Sha256: c.file.GetDigest().GetSha256()}
	if c.end >= 0 {
		// None at all would mean all of them; who wants no byte still learns whether there is such a file.
		request.ReadLimit = max(c.end-c.offset, 1)
	}
	within, cancel := context.WithTimeout(ctx, readTimeout)
	opened, err := c.client.Artifacts.ReadArtifact(within, request)
	if err != nil {
		cancel()
		return err
	}
	c.stream, c.cancel = opened, cancel
	return nil
}

// learn notes what the file is, and refuses another one in its place.
func (c *chunks) learn(file *pb.Artifact) error {
	if c.file != nil && !proto.Equal(c.file.GetDigest(), file.GetDigest()) {
		return damaged("%s was replaced while it was read; begin again", file.GetPath())
	}
	if !digestForm.MatchString(file.GetDigest().GetSha256()) {
		return damaged("the server sent no usable digest for %s", c.name)
	}
	c.file = file
	if size := file.GetDigest().GetSizeBytes(); c.end < 0 || c.end > size {
		c.end = size
	}
	return nil
}

func (c *chunks) check(answer *pb.ReadArtifactResponse) error {
	content := answer.GetChunk().GetContent()
	if c.file == nil || answer.GetOffset() != c.offset || c.offset+int64(len(content)) > c.end {
		return damaged("the server sent %d bytes at %d of %s for byte %d", len(content), answer.GetOffset(), c.name, c.offset)
	}
	if answer.GetChunk().Crc32C != nil && crc32.Checksum(content, castagnoli) != answer.GetChunk().GetCrc32C() {
		// Damaged on the way; asked for again from here.
		return unavailable("a chunk of %s at byte %d arrived damaged", c.name, c.offset)
	}
	return nil
}

// close ends the stream; the next chunk is asked for in a new one.
func (c *chunks) close() {
	if c.cancel != nil {
		c.cancel()
	}
	c.stream, c.cancel = nil, nil
}
