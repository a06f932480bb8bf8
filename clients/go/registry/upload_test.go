package registry_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

func TestAnUploadGoesOnWhereTheServerStands(t *testing.T) {
	t.Parallel()
	u := newUploads(t)
	u.cut = []int64{5 * mib, 0, 7 * mib}
	content := randomBytes(8*mib + 17)
	var mutex sync.Mutex
	var told []int64
	file, err := u.fake.client(t).Upload(t.Context(), version, "dir/w.bin", bytes.NewReader(content),
		registry.WithMediaType("application/x-weights"), registry.WithProgress(func(p registry.Progress) {
			mutex.Lock()
			defer mutex.Unlock()
			if p.Phase == registry.PhaseUpload {
				told = append(told, p.Done)
			}
			equal(t, p.Size, int64(len(content)), "size told")
		}))
	noError(t, err)
	equal(t, file.GetPath(), "dir/w.bin", "path")
	equal(t, len(u.offsets), 4, "streams")
	equal(t, u.offsets[1], 4*mib, "offset of the second stream")
	equal(t, u.offsets[3], 6*mib, "offset of the last stream")
	equal(t, told[len(told)-1], int64(len(content)), "last progress")
	equal(t, u.started.GetSizeBytes(), int64(len(content)), "declared size")
	equal(t, u.started.GetMediaType(), "application/x-weights", "media type")
	equal(t, len(u.fake.asked("StartUpload")), 1, "uploads started")
}

func TestAWriteByStreamIsSeenByTheNextRead(t *testing.T) {
	u := newUploads(t)
	client := u.fake.client(t)
	_, err := client.Upload(t.Context(), version, "a", strings.NewReader("hello"))
	noError(t, err)
	equal(t, client.Revision(), 55, "Revision")
}

func TestAnyReaderCanBeUploaded(t *testing.T) {
	content := randomBytes(3*mib + 1)
	seeker := bytes.NewReader(append([]byte("skipped"), content...))
	_, err := seeker.Seek(7, io.SeekStart)
	noError(t, err)
	for name, reader := range map[string]io.Reader{
		"memory": seeker, "stream": iotest.HalfReader(bytes.NewReader(content)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			u := newUploads(t)
			u.cut = []int64{3 * mib}
			_, err := u.fake.client(t).Upload(t.Context(), version, "a", reader)
			noError(t, err)
			sum := sha256.Sum256(content)
			equal(t, u.started.GetSha256(), hex.EncodeToString(sum[:]), "digest")
			left, err := os.ReadDir(os.Getenv("TMPDIR"))
			noError(t, err)
			equal(t, len(left), 0, "temporary files left")
		})
	}
	u := newUploads(t)
	broken := errors.New("broken")
	_, err = u.fake.client(t).Upload(t.Context(), version, "a", iotest.ErrReader(broken))
	equal(t, errors.Is(err, broken), true, "error of the reader")
}

func TestAnEmptyFileIsAFile(t *testing.T) {
	u := newUploads(t)
	_, err := u.fake.client(t).Upload(t.Context(), version, "a", strings.NewReader(""))
	noError(t, err)
	equal(t, u.state, pb.Upload_STATE_COMMITTED, "state")
}

func TestWhatIsHeldIsNotSent(t *testing.T) {
	u := newUploads(t)
	u.fake.answers("StartUpload", &pb.Upload{State: pb.Upload_STATE_COMMITTED, WriteStatus: &pb.Upload_Artifact{Artifact: &pb.Artifact{Path: "a"}}})
	_, err := u.fake.client(t).Upload(t.Context(), version, "a", strings.NewReader("hello"))
	noError(t, err)
	equal(t, len(u.fake.asked("WriteUpload")), 0, "streams")
}

func TestACompletionIsWaitedFor(t *testing.T) {
	t.Parallel()
	u := newUploads(t)
	u.finalizing = 2
	file, err := u.fake.client(t).Upload(t.Context(), version, "a", strings.NewReader("hello"))
	noError(t, err)
	equal(t, file.GetPath(), "a", "path")
	equal(t, len(u.fake.asked("GetUpload")), 3, "looks")
	equal(t, len(u.fake.asked("WriteUpload")), 1, "streams")
}

func TestARefusedUploadSaysWhy(t *testing.T) {
	for name, each := range map[string]struct {
		refuse  error
		kind    registry.Kind
		streams int
	}{
		"superseded": {refusal(codes.Aborted, "UPLOAD_SUPERSEDED", nil), registry.ErrConflict, 1},
		"immutable":  {refusal(codes.FailedPrecondition, "VERSION_IMMUTABLE", nil), registry.ErrFailedPrecondition, 1},
		"changed":    {refusal(codes.InvalidArgument, "DIGEST_MISMATCH", nil), registry.ErrIntegrity, 1},
		"full":       {refusal(codes.ResourceExhausted, "QUOTA_EXCEEDED", nil), registry.ErrResourceExhausted, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUploads(t)
			u.refuse = []error{each.refuse}
			_, err := u.fake.client(t).Upload(t.Context(), version, "a", strings.NewReader("hello"))
			require(t, err, each.kind)
			equal(t, len(u.offsets), each.streams, "streams")
		})
	}
}

func TestWhatPassesByItselfIsTriedAgain(t *testing.T) {
	t.Parallel()
	u := newUploads(t)
	u.refuse = []error{
		refusal(codes.InvalidArgument, "CHUNK_CHECKSUM", nil),
		refusal(codes.Unauthenticated, "TOKEN_EXPIRED", nil), // not first: a token that was only given has ended
	}
	_, err := u.fake.client(t).Upload(t.Context(), version, "a", strings.NewReader("hello"))
	require(t, err, registry.ErrUnauthenticated)

	u = newUploads(t)
	u.refuse = []error{
		refusal(codes.Unauthenticated, "TOKEN_EXPIRED", nil),
		refusal(codes.ResourceExhausted, "TOO_MANY_STREAMS", nil, retryInfo(time.Millisecond)),
	}
	_, err = u.fake.client(t).Upload(t.Context(), version, "a", strings.NewReader("hello"))
	noError(t, err)
	equal(t, len(u.offsets), 3, "streams")
}

func TestAnUploadThatIsGoneIsStartedAnew(t *testing.T) {
	t.Parallel()
	u := newUploads(t)
	u.refuse = []error{refusal(codes.FailedPrecondition, "UPLOAD_CLOSED", nil)}
	_, err := u.fake.client(t).Upload(t.Context(), version, "a", strings.NewReader("hello"))
	noError(t, err)
	equal(t, len(u.fake.asked("StartUpload")), 2, "uploads started")
}

func TestAnUploadOfAnEarlierProcessIsTakenUp(t *testing.T) {
	u := newUploads(t)
	content := randomBytes(5 * mib)
	sum := sha256.Sum256(content)
	u.started = &pb.StartUploadRequest{Path: "a"}
	u.content, u.state = bytes.Clone(content[:4*mib]), pb.Upload_STATE_ACTIVE
	open := u.upload()
	open.Sha256, open.SizeBytes = hex.EncodeToString(sum[:]), int64(len(content))
	stale := &pb.Upload{Name: "projects/default/uploads/stale", Path: "a", State: pb.Upload_STATE_ACTIVE, Sha256: "other"}
	foreign := &pb.Upload{Name: "projects/default/uploads/foreign", Path: "b", State: pb.Upload_STATE_ACTIVE}
	u.fake.answers("ListUploads", &pb.ListUploadsResponse{Uploads: []*pb.Upload{stale, open, foreign}})
	u.fake.answers("CancelUpload", stale)
	_, err := u.fake.client(t).Upload(t.Context(), version, "a", bytes.NewReader(content))
	noError(t, err)
	equal(t, u.offsets[0], 4*mib, "offset")
	equal(t, len(u.fake.asked("StartUpload")), 0, "uploads started")
	cancelled := u.fake.asked("CancelUpload")
	equal(t, len(cancelled), 1, "uploads cancelled")
	equal(t, cancelled[0].request.(*pb.CancelUploadRequest).GetName(), stale.GetName(), "cancelled")
}

func TestAFileThatChangesWhileItIsSentIsRefused(t *testing.T) {
	u := newUploads(t)
	file := filepath.Join(t.TempDir(), "w.bin")
	noError(t, os.WriteFile(file, randomBytes(3*mib), 0o600))
	touch := sync.OnceFunc(func() {
		noError(t, os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)))
	})
	_, err := u.fake.client(t).UploadFile(t.Context(), version, "a", file, registry.WithProgress(func(p registry.Progress) {
		if p.Phase == registry.PhaseUpload {
			touch()
		}
	}))
	equal(t, require(t, err, registry.ErrIntegrity).Reason, "DIGEST_MISMATCH", "reason")
	if u.state == pb.Upload_STATE_COMMITTED {
		t.Fatal("it was completed")
	}
}

func TestACancelledUploadEnds(t *testing.T) {
	u := newUploads(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := u.fake.client(t).Upload(ctx, version, "a", bytes.NewReader(randomBytes(20*mib)),
		registry.WithProgress(func(p registry.Progress) {
			if p.Phase == registry.PhaseUpload && p.Done > 2*mib {
				cancel()
			}
		}))
	require(t, err, registry.ErrCancelled)
	equal(t, errors.Is(err, context.Canceled), true, "errors.Is(context.Canceled)")
}

func TestWhatCannotBeUploadedIsRefusedHere(t *testing.T) {
	client := newFake(t).client(t)
	for _, each := range []struct{ version, path string }{
		{version, "../a"}, {version, ""}, {"m", "a"}, {"No", "a"}, {"mreg://evil:1/p/m/1", "a"},
	} {
		_, err := client.Upload(t.Context(), each.version, each.path, strings.NewReader("hello"))
		require(t, err, registry.ErrInvalidArgument)
	}
	_, err := client.UploadFile(t.Context(), version, "a", filepath.Join(t.TempDir(), "none"))
	require(t, err, registry.ErrInvalidArgument)
	_, err = client.UploadFile(t.Context(), version, "a", t.TempDir())
	require(t, err, registry.ErrInvalidArgument)
}
