// Package integration tests the client against a real server, that of MREG_ENDPOINT and MREG_TOKEN.
package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/internal/live"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

const mib = 1 << 20

// content returns bytes no other run has: the server would hold them already.
func content(count int) []byte {
	var seed [32]byte
	copy(seed[:], time.Now().UTC().Format(time.RFC3339Nano))
	made := make([]byte, count)
	_, _ = rand.NewChaCha8(seed).Read(made)
	return made
}

func draft(t *testing.T, client *registry.Client, model string) string {
	t.Helper()
	project := "projects/" + client.Project()
	_, err := client.Models.CreateModel(t.Context(), &pb.CreateModelRequest{Parent: project, ModelId: model})
	live.Must(t, err)
	made, err := client.Models.CreateVersion(t.Context(), &pb.CreateVersionRequest{Parent: project + "/models/" + model})
	live.Must(t, err)
	return made.GetName()
}

func want(t *testing.T, err error, kind registry.Kind, reason string) *registry.Error {
	t.Helper()
	failure, ok := errors.AsType[*registry.Error](err)
	if !ok || !errors.Is(err, kind) || failure.Reason != reason {
		t.Fatalf("got %v, want %s %s", err, kind, reason)
	}
	return failure
}

func TestAPushComesBackByAPull(t *testing.T) {
	client := live.Client(t)
	big := string(content(5*mib + 3))
	dir := live.Directory(t, map[string]string{"a.txt": "hello", "sub/twin.txt": "hello", "sub/w.bin": big, "empty": ""})
	fields := &pb.ModelVersion{
		Algorithm: "gradient boosting", Tags: map[string]string{"team": "risk"},
		Metrics: []*pb.Metric{{Name: "auc", Value: 0.93}},
	}
	made, err := client.Push(t.Context(), "fraud", dir, fields)
	live.Must(t, err)
	if made.GetState() != pb.VersionState_VERSION_STATE_READY || made.GetFileCount() != 4 || made.GetAlgorithm() != fields.GetAlgorithm() {
		t.Fatalf("pushed %v", made)
	}
	again, err := client.Push(t.Context(), "fraud", dir, fields)
	live.Must(t, err)
	if again.GetName() != made.GetName() {
		t.Fatalf("the same push made %s beside %s", again.GetName(), made.GetName())
	}
	other, err := client.Push(t.Context(), "fraud", dir, fields, registry.WithNewVersion())
	live.Must(t, err)
	if other.GetNumber() != made.GetNumber()+1 || other.GetManifestDigest() != made.GetManifestDigest() {
		t.Fatalf("a new version came out as %v", other)
	}

	target := filepath.Join(t.TempDir(), "model")
	answer, err := client.Pull(t.Context(), "fraud/1", target)
	live.Must(t, err)
	if answer.GetLocation() != made.GetLocation() {
		t.Fatalf("pulled %s", answer.GetLocation())
	}
	got, err := os.ReadFile(filepath.Join(target, "sub", "w.bin"))
	live.Must(t, err)
	if string(got) != big {
		t.Fatal("other bytes came back")
	}
	_, err = client.Pull(t.Context(), made.GetLocation(), target)
	live.Must(t, err)
	_, err = client.Pull(t.Context(), "fraud@production", target)
	want(t, err, registry.ErrNotFound, "STAGE_VACANT")
}

func TestFilesAreStreamedInAndOut(t *testing.T) {
	client := live.Client(t)
	version := draft(t, client, "m")
	bytesIn := content(3*mib + 1)
	file, err := client.Upload(t.Context(), version, "dir/w.bin", io.MultiReader(bytes.NewReader(bytesIn)))
	live.Must(t, err)
	if file.GetName() != registry.ArtifactName(version, "dir/w.bin") {
		t.Fatalf("it is at %s", file.GetName())
	}
	sum := sha256.Sum256(bytesIn)
	if file.GetDigest().GetSha256() != hex.EncodeToString(sum[:]) {
		t.Fatalf("it hashes to %s", file.GetDigest().GetSha256())
	}
	var out bytes.Buffer
	_, err = client.Download(t.Context(), file.GetName(), &out)
	live.Must(t, err)
	if !bytes.Equal(out.Bytes(), bytesIn) {
		t.Fatal("other bytes came back")
	}
	reader, err := client.OpenArtifactRange(t.Context(), file.GetName(), mib-5, 10)
	live.Must(t, err)
	defer func() { live.Must(t, reader.Close()) }()
	part, err := io.ReadAll(reader)
	live.Must(t, err)
	if !bytes.Equal(part, bytesIn[mib-5:mib+5]) {
		t.Fatal("another range came back")
	}
	nothing, err := client.OpenArtifactRange(t.Context(), file.GetName(), 7, 0)
	live.Must(t, err)
	part, err = io.ReadAll(nothing)
	live.Must(t, errors.Join(err, nothing.Close()))
	if len(part) != 0 {
		t.Fatalf("an empty range has %d bytes", len(part))
	}
	_, err = client.OpenArtifactRange(t.Context(), file.GetName(), int64(len(bytesIn))+1, -1)
	want(t, err, registry.ErrOutOfRange, "READ_OFFSET")
	_, err = client.OpenArtifact(t.Context(), registry.ArtifactName(version, "none"))
	want(t, err, registry.ErrNotFound, "ARTIFACT_NOT_FOUND")
}

func TestTransfersGoOnOverCutConnections(t *testing.T) {
	const size = 70 * mib
	direct := live.Client(t)
	version := draft(t, direct, "m")
	dir := live.Directory(t, map[string]string{"w.bin": string(content(size))})
	p := newProxy(t)
	// More than a part, which is the least that is kept of a cut upload.
	p.limit.Store(30 * mib)
	client, err := registry.New(registry.WithEndpoint(p.endpoint), registry.WithProject(direct.Project()))
	live.Must(t, err)
	defer func() { _ = client.Close() }()
	_, err = client.UploadFile(t.Context(), version, "w.bin", filepath.Join(dir, "w.bin"))
	live.Must(t, err)
	cuts := p.cuts.Load()
	if cuts < 2 {
		t.Fatalf("only %d cuts in the upload", cuts)
	}
	_, err = client.Models.FinalizeVersion(t.Context(), &pb.FinalizeVersionRequest{Name: version})
	live.Must(t, err)
	target := filepath.Join(t.TempDir(), "model")
	_, err = client.Pull(t.Context(), "m/1", target)
	live.Must(t, err)
	if p.cuts.Load() < cuts+2 {
		t.Fatalf("only %d cuts in the download", p.cuts.Load()-cuts)
	}
	for _, name := range []string{dir, target} {
		if _, err := os.Stat(filepath.Join(name, "w.bin")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACutUploadIsTakenUpByTheNextProcess(t *testing.T) {
	client := live.Client(t)
	version := draft(t, client, "m")
	dir := live.Directory(t, map[string]string{"w.bin": string(content(70 * mib))})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := client.UploadFile(ctx, version, "w.bin", filepath.Join(dir, "w.bin"), registry.WithProgress(func(p registry.Progress) {
		if p.Phase == registry.PhaseUpload && p.Done >= 50*mib {
			cancel()
		}
	}))
	want(t, err, registry.ErrCancelled, "")
	first := int64(-1)
	_, err = client.UploadFile(t.Context(), version, "w.bin", filepath.Join(dir, "w.bin"), registry.WithProgress(func(p registry.Progress) {
		if p.Phase == registry.PhaseUpload && first < 0 {
			first = p.Done
		}
	}))
	live.Must(t, err)
	if first <= mib {
		t.Fatalf("it began anew: the first chunk ended at byte %d", first)
	}
}
