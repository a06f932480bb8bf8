package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

const blockBytes = 1 << 20

// source is bytes that can be read again from any offset: what a resumed upload needs.
type source interface {
	// open returns the bytes from an offset on.
	open(offset int64) (io.ReadCloser, error)
	// check fails with ErrIntegrity when somebody wrote to them since the source was made.
	check() error
	// size in bytes.
	size() int64
	// name is for people.
	name() string
}

// fileSource is a file of a directory, seen through the root that keeps links from leading out of it.
type fileSource struct {
	root     *os.Root
	path     string
	bytes    int64
	modified time.Time
}

func newFileSource(root *os.Root, path string) (*fileSource, error) {
	facts, err := root.Stat(path)
	if err != nil {
		return nil, invalid("%s cannot be pushed: %w", path, err)
	}
	if !facts.Mode().IsRegular() {
		return nil, invalid("%s/%s is no regular file; only files can be pushed", root.Name(), path)
	}
	return &fileSource{root, path, facts.Size(), facts.ModTime()}, nil
}

func (f *fileSource) open(offset int64) (io.ReadCloser, error) {
	file, err := f.root.Open(f.path)
	if err != nil {
		return nil, invalid("%s cannot be read: %w", f.name(), err)
	}
	facts, err := file.Stat()
	if err == nil {
		err = f.require(facts)
	}
	if err == nil {
		_, err = file.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (f *fileSource) check() error {
	facts, err := f.root.Stat(f.path)
	if err != nil {
		return changed(f)
	}
	return f.require(facts)
}

func (f *fileSource) require(facts fs.FileInfo) error {
	if facts.Size() != f.bytes || !facts.ModTime().Equal(f.modified) {
		return changed(f)
	}
	return nil
}

func (f *fileSource) size() int64  { return f.bytes }
func (f *fileSource) name() string { return fmt.Sprintf("%s/%s", f.root.Name(), f.path) }

// readerSource is bytes behind an io.ReaderAt, from a first offset on.
type readerSource struct {
	reader io.ReaderAt
	first  int64
	bytes  int64
	label  string
}

func (r *readerSource) open(offset int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(r.reader, r.first+offset, r.bytes-offset)), nil
}

func (r *readerSource) check() error { return nil }
func (r *readerSource) size() int64  { return r.bytes }
func (r *readerSource) name() string { return r.label }

// changed is the error for bytes that are not what they were when the transfer began.
func changed(from source) *Error {
	failure := mismatch("", "", "%s changed while it was pushed; wait until nothing writes to it and push again", from.name())
	failure.Metadata = map[string]string{"path": from.name()}
	return failure
}

// digestOf reads a source once.
func digestOf(ctx context.Context, from source, path string, report func(Progress)) (FileDigest, error) {
	reader, err := from.open(0)
	if err != nil {
		return FileDigest{}, err
	}
	defer func() { _ = reader.Close() }()
	digest := sha256.New()
	block := make([]byte, blockBytes)
	var done int64
	for {
		if ctx.Err() != nil {
			return FileDigest{}, stopped(ctx, nil)
		}
		count, err := reader.Read(block)
		digest.Write(block[:count])
		done += int64(count)
		if count > 0 {
			report(Progress{PhaseHash, path, done, from.size()})
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return FileDigest{}, invalid("%s cannot be read: %w", from.name(), err)
		}
	}
	if done != from.size() {
		return FileDigest{}, changed(from)
	}
	return FileDigest{path, hex.EncodeToString(digest.Sum(nil)), done}, from.check()
}
