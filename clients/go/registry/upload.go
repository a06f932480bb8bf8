package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

const (
	// takeOverAfter is when a new stream asks about a completion: it gets the outcome of one that is alive, and takes over
	// one that died.
	takeOverAfter = 10 * time.Second
	pollPause     = 200 * time.Millisecond
)

// fileUpload is one file on its way into a version.
type fileUpload struct {
	client    *Client
	version   string
	from      source
	digest    FileDigest
	mediaType string
	report    func(Progress)
}

// run sends the file, going on at the persisted offset whatever cuts the stream. open is an upload of it that is open
// already, or nil.
func (u *fileUpload) run(ctx context.Context, open *pb.Upload) (*pb.Artifact, error) {
	var waits patience
	upload := open
	completing := time.Now()
	for {
		if upload == nil {
			started, err := u.start(ctx)
			if err != nil {
				if err := waits.wait(ctx, asError(err)); err != nil {
					return nil, err
				}
				continue
			}
			upload = started
		}
		if upload.GetState() == pb.Upload_STATE_COMMITTED {
			u.tell(u.digest.Size)
			return upload.GetArtifact(), nil
		}
		if upload.GetState() != pb.Upload_STATE_FINALIZING {
			completing = time.Now()
		}
		before := upload.GetPersistedSize()
		next, err := u.step(ctx, upload, time.Since(completing) > takeOverAfter)
		if err != nil {
			next, err = u.recover(ctx, upload, asError(err), &waits)
		}
		if err != nil {
			return nil, err
		}
		if next.GetPersistedSize() > before {
			waits.moved()
		}
		upload = next
	}
}

func (u *fileUpload) start(ctx context.Context) (*pb.Upload, error) {
	return u.client.Artifacts.StartUpload(ctx, &pb.StartUploadRequest{
		Parent:    u.version,
		Path:      u.digest.Path,
		SizeBytes: u.digest.Size,
		Sha256:    u.digest.SHA256,
		MediaType: u.mediaType,
	})
}

// step returns the upload after one more stream, or after one more look while the server completes it.
func (u *fileUpload) step(ctx context.Context, upload *pb.Upload, takeOver bool) (*pb.Upload, error) {
	switch state := upload.GetState(); {
	case state == pb.Upload_STATE_FINALIZING && !takeOver:
		if !sleep(ctx, pollPause) {
			return nil, stopped(ctx, nil)
		}
		return u.look(ctx, upload.GetName())
	case state != pb.Upload_STATE_ACTIVE && state != pb.Upload_STATE_FINALIZING:
		failure := precondition("the upload of %s is %s: %s; start it again", u.digest.Path, state, upload.GetFailure())
		failure.Reason = "UPLOAD_CLOSED"
		return nil, failure
	}
	answer, err := u.stream(ctx, upload)
	if err == nil && answer.GetState() == pb.Upload_STATE_ACTIVE {
		return nil, late("the server closed the upload of %s early", u.digest.Path)
	}
	return answer, err
}

// look asks where the upload stands, within the time of a call.
func (u *fileUpload) look(ctx context.Context, name string) (*pb.Upload, error) {
	limited, cancel := context.WithTimeout(ctx, u.client.settings.timeout)
	defer cancel()
	return u.client.Artifacts.GetUpload(limited, &pb.GetUploadRequest{Name: name})
}

// recover waits, and returns the upload to go on with; nil to begin a new one.
func (u *fileUpload) recover(ctx context.Context, upload *pb.Upload, failure *Error, waits *patience) (*pb.Upload, error) {
	for {
		if isGone(failure) {
			// It expired or was cancelled; another one can be started.
			gone := late("%s", failure.Message)
			gone.Reason = failure.Reason
			return nil, waits.wait(ctx, gone)
		}
		if err := waits.wait(ctx, u.explained(failure)); err != nil {
			return nil, err
		}
		found, err := u.look(ctx, upload.GetName())
		if err == nil {
			return found, nil
		}
		failure = asError(err)
	}
}

func isGone(failure *Error) bool {
	return (failure.Kind == ErrNotFound || failure.Kind == ErrFailedPrecondition) &&
		slices.Contains([]string{"UPLOAD_NOT_FOUND", "UPLOAD_CLOSED"}, failure.Reason)
}

// explained says what a refusal means to whoever pushes.
func (u *fileUpload) explained(failure *Error) *Error {
	switch failure.Reason {
	case "DIGEST_MISMATCH":
		return changed(u.from)
	case "UPLOAD_SUPERSEDED":
		explained := *failure
		explained.Message = "another process uploads " + u.digest.Path + " of the same version; let one of them finish"
		return &explained
	}
	return failure
}

// tell reports how far the file is, bytes.
func (u *fileUpload) tell(done int64) {
	u.report(Progress{PhaseUpload, u.digest.Path, done, u.digest.Size})
}

// asError returns err as what all errors of this package are.
func asError(err error) *Error {
	if failure, ok := errors.AsType[*Error](err); ok {
		return failure
	}
	return localError(ErrOther, codes.Unknown, "%w", err)
}
