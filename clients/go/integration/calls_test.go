package integration

import (
	"os"
	"slices"
	"testing"
	"time"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/internal/live"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

func TestErrorsSayWhatWentWrong(t *testing.T) {
	client := live.Client(t)
	project := "projects/" + client.Project()
	_, err := client.Models.GetModel(t.Context(), &pb.GetModelRequest{Name: project + "/models/none"})
	failure := want(t, err, registry.ErrNotFound, "MODEL_NOT_FOUND")
	if failure.Metadata["resource"] != project+"/models/none" || failure.RequestID == "" {
		t.Fatalf("%+v", failure)
	}
	_, err = client.Models.CreateModel(t.Context(), &pb.CreateModelRequest{Parent: project, ModelId: "Not An Id"})
	if failure := want(t, err, registry.ErrInvalidArgument, "INVALID_FIELD"); failure.Violations[0].Subject != "model_id" {
		t.Fatalf("%+v", failure)
	}
	version, err := client.Push(t.Context(), "m", live.Directory(t, map[string]string{"a": "x"}), nil)
	live.Must(t, err)
	expected := int64(7)
	_, err = client.Stages.PromoteVersion(t.Context(), &pb.PromoteVersionRequest{
		Name: version.GetName(), Stage: "staging", ExpectedVersion: &expected,
	})
	if failure := want(t, err, registry.ErrConflict, "STAGE_MOVED"); failure.Metadata["expectedVersion"] != "7" {
		t.Fatalf("%+v", failure)
	}
	for token, reason := range map[string]string{"": "TOKEN_MISSING", "wrong": "TOKEN_INVALID"} {
		stranger, err := registry.New(registry.WithToken(token))
		live.Must(t, err)
		_, err = stranger.Server.GetServerInfo(t.Context(), &pb.GetServerInfoRequest{})
		want(t, err, registry.ErrUnauthenticated, reason)
		live.Must(t, stranger.Close())
	}
	if _, err = client.Resolve(t.Context(), "m@"+version.GetManifestDigest()); err != nil {
		t.Fatal(err)
	}
	const other = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	_, err = client.Resolve(t.Context(), "m/1@"+other)
	want(t, err, registry.ErrIntegrity, "DIGEST_MISMATCH")
}

func TestAnotherClientReadsWhatThisOneWrote(t *testing.T) {
	client := live.Client(t)
	draft(t, client, "m")
	if client.Revision() == 0 {
		t.Fatal("no revision after a write")
	}
	other, err := registry.New()
	live.Must(t, err)
	defer func() { _ = other.Close() }()
	ctx := registry.WithMinRevision(t.Context(), client.Revision())
	_, err = other.Models.GetModel(ctx, &pb.GetModelRequest{Name: "projects/" + client.Project() + "/models/m"})
	live.Must(t, err)
}

func TestATokenFileIsUsed(t *testing.T) {
	dir := live.Directory(t, map[string]string{"token": os.Getenv("MREG_TOKEN") + "\n"})
	client := live.Client(t, registry.WithTokenFile(dir+"/token"))
	info, err := client.Server.GetServerInfo(t.Context(), &pb.GetServerInfoRequest{})
	live.Must(t, err)
	if info.GetRegistryUid() == "" {
		t.Fatalf("%v", info)
	}
}

func TestListsAreReadToTheirEnd(t *testing.T) {
	client := live.Client(t)
	parent := "projects/" + client.Project()
	wanted := []string{"a", "b", "c", "d", "e"}
	for _, id := range wanted {
		_, err := client.Models.CreateModel(t.Context(), &pb.CreateModelRequest{Parent: parent, ModelId: id})
		live.Must(t, err)
	}
	request := &pb.ListModelsRequest{Parent: parent, PageSize: 2}
	var found []string
	for model, err := range registry.All(t.Context(), client.Models.ListModels, request, (*pb.ListModelsResponse).GetModels) {
		live.Must(t, err)
		found = append(found, model.GetName()[len(parent+"/models/"):])
	}
	slices.Sort(found)
	if !slices.Equal(found, wanted) {
		t.Fatalf("found %v", found)
	}
}

func TestAResolveAnswersOnlyWhenSomethingMoved(t *testing.T) {
	client := live.Client(t)
	_, err := client.Push(t.Context(), "m", live.Directory(t, map[string]string{"a": "x"}), nil)
	live.Must(t, err)
	reference, err := client.Reference("m@development")
	live.Must(t, err)
	request := reference.Request()
	answer, err := client.Stages.Resolve(t.Context(), request)
	live.Must(t, err)
	request.IfChangedSince = answer.GetPointerRevision()
	answer, err = client.Stages.Resolve(t.Context(), request)
	live.Must(t, err)
	if !answer.GetUnchanged() {
		t.Fatalf("%v", answer)
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	client, err := registry.New(registry.WithEndpoint("127.0.0.1:1"))
	live.Must(t, err)
	defer func() { _ = client.Close() }()
	_, err = client.Resolve(t.Context(), "m")
	want(t, err, registry.ErrUnavailable, "")
	began := time.Now()
	short, err := registry.New(registry.WithEndpoint("127.0.0.1:1"), registry.WithTimeout(200*time.Millisecond))
	live.Must(t, err)
	defer func() { _ = short.Close() }()
	if _, err = short.Resolve(t.Context(), "m"); err == nil || time.Since(began) > 5*time.Second {
		t.Fatalf("%v after %s", err, time.Since(began))
	}
}
