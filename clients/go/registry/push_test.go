package registry_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

// newPushes returns a fake that takes pushes into an empty model; held are the bytes the project holds.
func newPushes(t *testing.T, held ...string) *uploads {
	t.Helper()
	u := newUploads(t)
	u.fake.answers("ListVersions", &pb.ListVersionsResponse{})
	u.fake.answers("ListArtifacts", &pb.ListArtifactsResponse{})
	u.fake.on("CreateVersion", func(_ context.Context, request proto.Message) (proto.Message, error) {
		made := proto.CloneOf(request.(*pb.CreateVersionRequest).GetVersion())
		made.Name, made.State = version, pb.VersionState_VERSION_STATE_DRAFT
		return made, nil
	})
	u.fake.on("FindMissingArtifacts", func(_ context.Context, request proto.Message) (proto.Message, error) {
		answer := &pb.FindMissingArtifactsResponse{}
		for _, digest := range request.(*pb.FindMissingArtifactsRequest).GetDigests() {
			if !slices.ContainsFunc(held, func(content string) bool {
				return artifactOf("", []byte(content)).GetDigest().GetSha256() == digest.GetSha256()
			}) {
				answer.Missing = append(answer.Missing, digest)
			}
		}
		return answer, nil
	})
	u.fake.answers("AttachArtifacts", &pb.AttachArtifactsResponse{})
	u.fake.answers("GetVersion", &pb.ModelVersion{Name: version, State: pb.VersionState_VERSION_STATE_DRAFT})
	u.fake.answers("FinalizeVersion", &pb.ModelVersion{Name: version, State: pb.VersionState_VERSION_STATE_READY})
	return u
}

// directory writes files below a new directory.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, content := range files {
		file := filepath.Join(dir, path)
		noError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		noError(t, os.WriteFile(file, []byte(content), 0o600))
	}
	return dir
}

func pushKeys(u *uploads) []string {
	var keys []string
	for _, call := range u.fake.asked("CreateVersion") {
		keys = append(keys, call.request.(*pb.CreateVersionRequest).GetVersion().GetAnnotations()["mreg.dev/push-key"])
	}
	return keys
}

func TestAPushSendsOnlyWhatTheProjectDoesNotHold(t *testing.T) {
	u := newPushes(t, "held")
	dir := directory(t, map[string]string{"a": "new", "b/twin": "new", "held": "held", ".git/config": "no", "sub/.GIT": "no"})
	fields := &pb.ModelVersion{Algorithm: "gb", Annotations: map[string]string{"x": "y"}}
	made, err := u.fake.client(t).Push(t.Context(), "m", dir, fields)
	noError(t, err)
	equal(t, made.GetState(), pb.VersionState_VERSION_STATE_READY, "state")
	equal(t, len(u.offsets), 1, "streams")
	var attached []string
	for _, call := range u.fake.asked("AttachArtifacts") {
		for _, each := range call.request.(*pb.AttachArtifactsRequest).GetAttachments() {
			attached = append(attached, each.GetPath())
		}
	}
	equal(t, strings.Join(attached, " "), "held b/twin", "attached, the held one first")
	finalized := u.fake.asked("FinalizeVersion")[0].request.(*pb.FinalizeVersionRequest)
	equal(t, finalized.GetManifestDigest(), registry.ManifestDigest([]registry.FileDigest{
		fileOf("a", "new"), fileOf("b/twin", "new"), fileOf("held", "held"),
	}), "manifest digest")
	equal(t, len(fields.GetAnnotations()), 1, "annotations of the caller's message")
}

func fileOf(path, content string) registry.FileDigest {
	digest := artifactOf(path, []byte(content)).GetDigest()
	return registry.FileDigest{Path: path, SHA256: digest.GetSha256(), Size: digest.GetSizeBytes()}
}

func TestTheKeyOfAPushIsThatOfItsFilesAndFields(t *testing.T) {
	u := newPushes(t)
	client := u.fake.client(t)
	for _, each := range []struct{ content, algorithm, tag string }{
		{"1", "gb", "x"}, {"1", "gb", "x"}, {"2", "gb", "x"}, {"1", "rf", "x"}, {"1", "gb", "y"},
	} {
		fields := &pb.ModelVersion{Algorithm: each.algorithm, Tags: map[string]string{"b": "1", "a": each.tag, "c": "3"}}
		_, err := client.Push(t.Context(), "m", directory(t, map[string]string{"a": each.content}), fields)
		noError(t, err)
	}
	keys := pushKeys(u)
	equal(t, keys[1], keys[0], "key of an equal push")
	slices.Sort(keys)
	equal(t, len(slices.Compact(keys)), 4, "different keys")
}

func TestAnEqualPushIsFoundAgain(t *testing.T) {
	u := newPushes(t, "x")
	dir := directory(t, map[string]string{"a": "x"})
	client := u.fake.client(t)
	_, err := client.Push(t.Context(), "m", dir, nil)
	noError(t, err)
	mine := map[string]string{"mreg.dev/push-key": pushKeys(u)[0]}
	ready := &pb.ModelVersion{Name: "ready", State: pb.VersionState_VERSION_STATE_READY, Annotations: mine}
	draft := &pb.ModelVersion{Name: "draft", State: pb.VersionState_VERSION_STATE_DRAFT, Annotations: mine}
	foreign := &pb.ModelVersion{Name: "foreign", State: pb.VersionState_VERSION_STATE_DRAFT}
	u.fake.on("ListVersions", func(_ context.Context, request proto.Message) (proto.Message, error) {
		if request.(*pb.ListVersionsRequest).GetStates()[0] == pb.VersionState_VERSION_STATE_READY {
			return &pb.ListVersionsResponse{Versions: []*pb.ModelVersion{ready}}, nil
		}
		return &pb.ListVersionsResponse{Versions: []*pb.ModelVersion{foreign, draft}}, nil
	})
	found, err := client.Push(t.Context(), "m", dir, nil)
	noError(t, err)
	equal(t, found.GetName(), "ready", "version")
	_, err = client.Push(t.Context(), "m", dir, nil, registry.WithNewVersion())
	noError(t, err)
	finalized := u.fake.asked("FinalizeVersion")
	equal(t, finalized[len(finalized)-1].request.(*pb.FinalizeVersionRequest).GetName(), "draft", "version that was resumed")
	equal(t, len(u.fake.asked("CreateVersion")), 1, "versions created")
}

func TestADraftIsLeftADraft(t *testing.T) {
	u := newPushes(t)
	made, err := u.fake.client(t).Push(t.Context(), "m", directory(t, map[string]string{"a": "x"}), nil, registry.WithDraft())
	noError(t, err)
	equal(t, made.GetState(), pb.VersionState_VERSION_STATE_DRAFT, "state")
	equal(t, len(u.fake.asked("FinalizeVersion")), 0, "finalized")
}

func TestTheModelIsMadeWhenItIsMissing(t *testing.T) {
	u := newPushes(t)
	u.fake.answers("ListVersions", refusal(codes.NotFound, "MODEL_NOT_FOUND", nil))
	u.fake.answers("CreateModel", refusal(codes.AlreadyExists, "RESOURCE_EXISTS", nil), &pb.Model{},
		refusal(codes.AlreadyExists, "RESOURCE_EXISTS", map[string]string{"softDeleted": "true"}))
	client, dir := u.fake.client(t), directory(t, map[string]string{"a": "x"})
	for range 2 {
		_, err := client.Push(t.Context(), "team:m", dir, nil)
		noError(t, err)
	}
	asked := u.fake.asked("CreateModel")[0].request.(*pb.CreateModelRequest)
	equal(t, asked.GetParent()+" "+asked.GetModelId(), "projects/team m", "model")
	_, err := client.Push(t.Context(), "team:m", dir, nil)
	require(t, err, registry.ErrAlreadyExists)
	u.fake.answers("ListVersions", refusal(codes.NotFound, "PROJECT_NOT_FOUND", nil))
	_, err = client.Push(t.Context(), "m", dir, nil)
	require(t, err, registry.ErrNotFound)
}

func TestWhatCannotBePushedIsRefusedBeforeAnythingIsSent(t *testing.T) {
	u := newPushes(t)
	client := u.fake.client(t)
	refused := func(model, path string, fields *pb.ModelVersion) {
		t.Helper()
		_, err := client.Push(t.Context(), model, path, fields)
		require(t, err, registry.ErrInvalidArgument)
	}
	good := directory(t, map[string]string{"a": "x"})
	refused("m/1", good, nil)
	refused("m@production", good, nil)
	refused("m", filepath.Join(good, "none"), nil)
	refused("m", t.TempDir(), nil)
	refused("m", directory(t, map[string]string{"nul.txt": "x"}), nil)
	refused("m", directory(t, map[string]string{"a": "x", "A": "x"}), nil)
	refused("m", good, &pb.ModelVersion{Annotations: map[string]string{"mreg.dev/push-key": "mine"}})
	for name, target := range map[string]string{
		"outside": filepath.Join(good, "a"), "dangling": "none", "up": "..", "directory": "sub", "absolute": "/etc/hostname",
	} {
		dir := directory(t, map[string]string{"a": "x", "sub/b": "y"})
		noError(t, os.Symlink(target, filepath.Join(dir, name)))
		refused("m", dir, nil)
	}
	equal(t, len(u.fake.calls), 0, "calls")
}

func TestALinkToAFileInsideIsFollowedAndOneFileIsEnough(t *testing.T) {
	u := newPushes(t, "x")
	client := u.fake.client(t)
	dir := directory(t, map[string]string{"a": "x", "sub/b": "x"})
	noError(t, os.Symlink("sub/b", filepath.Join(dir, "link")))
	_, err := client.Push(t.Context(), "m", dir, nil)
	noError(t, err)
	_, err = client.Push(t.Context(), "m", filepath.Join(dir, "a"), nil)
	noError(t, err)
	calls := u.fake.asked("FinalizeVersion")
	equal(t, calls[0].request.(*pb.FinalizeVersionRequest).GetManifestDigest(),
		registry.ManifestDigest([]registry.FileDigest{fileOf("a", "x"), fileOf("link", "x"), fileOf("sub/b", "x")}), "directory")
	equal(t, calls[1].request.(*pb.FinalizeVersionRequest).GetManifestDigest(),
		registry.ManifestDigest([]registry.FileDigest{fileOf("a", "x")}), "file")
}

func TestAFileThatChangesDuringAPushIsNotFrozen(t *testing.T) {
	u := newPushes(t, "held")
	dir := directory(t, map[string]string{"held": "held", "sent": "sent"})
	_, err := u.fake.client(t).Push(t.Context(), "m", dir, nil, registry.WithProgress(func(p registry.Progress) {
		if p.Phase == registry.PhaseAttach {
			noError(t, os.Chtimes(filepath.Join(dir, "held"), time.Time{}, time.Now().Add(time.Hour)))
		}
	}))
	require(t, err, registry.ErrIntegrity)
	equal(t, len(u.fake.asked("FinalizeVersion")), 0, "finalized")
}
