package registry

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

// UploadFile sends a local file into a draft as path, and returns it as it is there. The version is a reference with a
// number or a resource name. Bytes the project holds are not sent; an upload that was cut goes on where it stood, also
// that of an earlier process. It fails with [ErrIntegrity] when the file changes meanwhile.
func (c *Client) UploadFile(
	ctx context.Context, version, path, file string, options ...TransferOption,
) (*pb.Artifact, error) {
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, invalid("%s cannot be read: %w", file, err)
	}
	defer func() { _ = root.Close() }()
	from, err := newFileSource(root, filepath.Base(file))
	if err != nil {
		return nil, err
	}
	return c.upload(ctx, version, path, from, options)
}

// Upload is [Client.UploadFile] from a reader. What is both an [io.Seeker] and an [io.ReaderAt] is read from where it
// stands, twice: for its digest and to send it. Any other reader is first written to a temporary file, which a resumed
// upload reads again; memory stays bounded.
func (c *Client) Upload(
	ctx context.Context, version, path string, content io.Reader, options ...TransferOption,
) (*pb.Artifact, error) {
	from, done, err := sourceOf(content, path)
	if err != nil {
		return nil, err
	}
	defer done()
	return c.upload(ctx, version, path, from, options)
}

func (c *Client) upload(
	ctx context.Context, version, path string, from source, options []TransferOption,
) (*pb.Artifact, error) {
	settings, err := transferOf(options)
	if err != nil {
		return nil, err
	}
	if err := CheckPaths([]string{path}); err != nil {
		return nil, err
	}
	found, err := c.Reference(version)
	if err != nil {
		return nil, err
	}
	name, err := found.VersionName()
	if err != nil {
		return nil, err
	}
	digest, err := digestOf(ctx, from, path, settings.report)
	if err != nil {
		return nil, err
	}
	open, err := c.openUploads(ctx, name, []FileDigest{digest})
	if err != nil {
		return nil, err
	}
	upload := fileUpload{c, name, from, digest, settings.mediaType, settings.report}
	return upload.run(ctx, open[path])
}

// sourceOf returns the bytes of a reader as a source, and what to do when they are not needed any more.
func sourceOf(content io.Reader, path string) (source, func(), error) {
	seeker, seeks := content.(io.Seeker)
	reader, reads := content.(io.ReaderAt)
	if seeks && reads {
		if first, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			end, err := seeker.Seek(0, io.SeekEnd)
			if err == nil {
				return &readerSource{reader, first, end - first, path}, func() {}, nil
			}
		}
		// A pipe is an *os.File, too.
	}
	spool, err := os.CreateTemp("", "mreg-upload-")
	if err != nil {
		return nil, nil, fmt.Errorf("the content of %s cannot be kept to be sent: %w", path, err)
	}
	done := func() {
		_ = spool.Close()
		_ = os.Remove(spool.Name())
	}
	bytes, err := io.Copy(spool, content)
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("the content of %s cannot be read: %w", path, err)
	}
	return &readerSource{spool, 0, bytes, path}, done, nil
}

// openUploads returns the uploads of an earlier run to go on with, by path; those that cannot be used are cancelled.
func (c *Client) openUploads(ctx context.Context, version string, files []FileDigest) (map[string]*pb.Upload, error) {
	wanted := map[string]FileDigest{}
	for _, file := range files {
		wanted[file.Path] = file
	}
	usable := map[string]*pb.Upload{}
	request := &pb.ListUploadsRequest{
		Parent: version, PageSize: maxPerCall,
		States: []pb.Upload_State{pb.Upload_STATE_ACTIVE, pb.Upload_STATE_FINALIZING},
	}
	for upload, err := range All(ctx, c.Artifacts.ListUploads, request, (*pb.ListUploadsResponse).GetUploads) {
		if err != nil {
			return nil, err
		}
		path := upload.GetPath()
		file, ok := wanted[path]
		if !ok {
			continue
		}
		loser := upload
		best := usable[path]
		fits := upload.GetSha256() == file.SHA256 && upload.GetSizeBytes() == file.Size
		if fits && (best == nil || upload.GetPersistedSize() > best.GetPersistedSize()) {
			usable[path], loser = upload, best
		}
		if loser.GetState() != pb.Upload_STATE_ACTIVE {
			continue
		}
		if _, err := c.Artifacts.CancelUpload(ctx, &pb.CancelUploadRequest{Name: loser.GetName()}); err != nil {
			return nil, err
		}
	}
	return usable, nil
}
