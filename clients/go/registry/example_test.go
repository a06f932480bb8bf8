package registry_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

func Example() {
	ctx := context.Background()
	client, err := registry.New() // MREG_ENDPOINT, MREG_TOKEN or MREG_TOKEN_FILE, MREG_CA_FILE, MREG_PROJECT
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	answer, err := client.Pull(ctx, "fraud@production", "./model")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("loaded", answer.GetLocation())
	for change, err := range client.Watch("fraud@production").Changes(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("production is now", change.Event.GetStage().GetVersion())
	}
}

func ExampleClient_Push() {
	ctx := context.Background()
	client, err := registry.New()
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	version, err := client.Push(ctx, "fraud", "./out", &pb.ModelVersion{
		Framework: &pb.Framework{Name: "scikit-learn", Version: "1.5.2"},
		Algorithm: "gradient boosting",
		Metrics:   []*pb.Metric{{Name: "auc", Value: 0.93}},
	}, registry.WithProgress(func(p registry.Progress) { fmt.Println(p.Phase, p.Path, p.Done, p.Size) }))
	if err != nil {
		log.Fatal(err)
	}
	expected := int64(6)
	_, err = client.Stages.PromoteVersion(ctx, &pb.PromoteVersionRequest{
		Name: version.GetName(), Stage: "staging", ExpectedVersion: &expected,
	})
	if failure, ok := errors.AsType[*registry.Error](err); ok && failure.Kind == registry.ErrConflict {
		fmt.Println("somebody else was first:", failure.Reason, failure.Metadata["currentVersion"])
	}
}

func ExampleAll() {
	ctx := context.Background()
	client, err := registry.New()
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	request := &pb.ListVersionsRequest{Parent: "projects/default/models/fraud"}
	for version, err := range registry.All(ctx, client.Models.ListVersions, request, (*pb.ListVersionsResponse).GetVersions) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(version.GetNumber(), version.GetState())
	}
}
