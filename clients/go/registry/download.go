package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

// ArtifactReader streams a file of a version, or a range of it, as it is read; what is not read is not sent. A stream that
// is cut goes on where it stood. Every chunk is checked by its CRC32C; who reads the whole file to its end gets
// [ErrIntegrity] instead of io.EOF unless it has its SHA-256. Close it. One goroutine at a time.
type ArtifactReader struct {
	ctx    context.Context
	chunks *chunks
	rest   []byte
	// hash is nil when a range is read.
	hash hash.Hash
	err  error
}

// OpenArtifact opens the file with this resource name (see [ArtifactName]), as it is when the call returns.
func (c *Client) OpenArtifact(ctx context.Context, name string) (*ArtifactReader, error) {
	return c.OpenArtifactRange(ctx, name, 0, -1)
}

// OpenArtifactRange opens at most length bytes of a file from offset on; a length below 0 means to the end. An offset behind
// the end is [ErrOutOfRange]. What is read of a range is checked in transit and by the server, but has no digest to hold
// against.
func (c *Client) OpenArtifactRange(ctx context.Context, name string, offset, length int64) (*ArtifactReader, error) {
	if offset < 0 {
		return nil, invalid("offset %d: a file begins at byte 0", offset)
	}
	end := int64(-1)
	if length >= 0 {
		end = offset + length
	}
	from := &chunks{client: c, name: name, offset: offset, end: end}
	if err := from.begin(ctx); err != nil {
		return nil, err
	}
	reader := &ArtifactReader{ctx: ctx, chunks: from}
	if offset == 0 && from.end == from.file.GetDigest().GetSizeBytes() {
		reader.hash = sha256.New()
	}
	return reader, nil
}

// Artifact returns the file that is read.
func (r *ArtifactReader) Artifact() *pb.Artifact { return r.chunks.file }

// Read reads.
func (r *ArtifactReader) Read(buffer []byte) (int, error) {
	if len(buffer) == 0 {
		return 0, nil
	}
	if len(r.rest) == 0 && !r.advance() {
		return 0, r.err
	}
	count := copy(buffer, r.rest)
	r.rest = r.rest[count:]
	return count, nil
}

// WriteTo writes everything that is left, without a buffer between.
func (r *ArtifactReader) WriteTo(to io.Writer) (int64, error) {
	var written int64
	for len(r.rest) > 0 || r.advance() {
		count, err := to.Write(r.rest)
		written += int64(count)
		r.rest = r.rest[count:]
		if err != nil {
			return written, err
		}
	}
	if errors.Is(r.err, io.EOF) {
		return written, nil
	}
	return written, r.err
}

// Close ends the stream.
func (r *ArtifactReader) Close() error {
	r.chunks.close()
	r.rest = nil
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	return nil
}

// advance gets the next chunk; false when there is none, and r.err says why.
func (r *ArtifactReader) advance() bool {
	if r.err != nil {
		return false
	}
	r.rest, r.err = r.chunks.next(r.ctx)
	if r.hash != nil {
		r.hash.Write(r.rest)
	}
	if errors.Is(r.err, io.EOF) && r.hash != nil {
		wanted, got := r.chunks.file.GetDigest().GetSha256(), hex.EncodeToString(r.hash.Sum(nil))
		if got != wanted {
			r.err = mismatch(wanted, got, "%s hashes to %s, not %s; discard what was read", r.chunks.name, got, wanted)
		}
	}
	return r.err == nil
}

// Download writes the file with this resource name to a writer, verified, and returns it. When it fails, discard what was
// written. [Client.Pull] is for whole versions.
func (c *Client) Download(
	ctx context.Context, name string, to io.Writer, options ...TransferOption,
) (*pb.Artifact, error) {
	settings, err := transferOf(options)
	if err != nil {
		return nil, err
	}
	reader, err := c.OpenArtifact(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }()
	file := fileDigest(reader.Artifact())
	var done int64
	for reader.advance() {
		count, err := to.Write(reader.rest)
		if err != nil {
			return nil, err
		}
		done += int64(count)
		settings.report(Progress{PhaseDownload, file.Path, done, file.Size})
	}
	if !errors.Is(reader.err, io.EOF) {
		return nil, reader.err
	}
	return reader.Artifact(), nil
}
