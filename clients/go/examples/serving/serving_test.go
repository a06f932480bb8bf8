package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/internal/live"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

// publish pushes a model that multiplies by a factor, and brings it to production.
func publish(t *testing.T, client *registry.Client, factor int) *pb.ModelVersion {
	t.Helper()
	dir := live.Directory(t, map[string]string{"model.json": fmt.Sprintf(`{"weights": [%d], "bias": 0}`, factor)})
	version, err := client.Push(t.Context(), "fraud", dir, nil)
	live.Must(t, err)
	live.Promote(t, client, version.GetName())
	return version
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// clients send requests one after the other until they are stopped, and note what came.
type clients struct {
	url     string
	mutex   sync.Mutex
	answers map[Answer]int
	faults  []error
}

func (c *clients) run(ctx context.Context) {
	for ctx.Err() == nil {
		answer, err := ask(c.url)
		c.mutex.Lock()
		c.answers[answer]++
		if err != nil {
			c.faults = append(c.faults, err)
		}
		c.mutex.Unlock()
	}
}

func ask(url string) (Answer, error) {
	reply, err := http.Post(url+"/predict", "application/json", strings.NewReader(`{"inputs": [10]}`))
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = reply.Body.Close() }()
	if reply.StatusCode != http.StatusOK {
		return Answer{}, errors.New(reply.Status)
	}
	var answer Answer
	return answer, json.NewDecoder(reply.Body).Decode(&answer)
}

func TestNoRequestFailsWhileAModelIsPromoted(t *testing.T) {
	client := live.Client(t)
	first := publish(t, client, 1)
	follower := &Follower{Client: client, Stage: "fraud@production", Dir: t.TempDir()}
	server := httptest.NewServer(follower.Handler())
	defer server.Close()
	if _, err := ask(server.URL); err == nil {
		t.Fatal("an answer without a model")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- follower.Run(ctx) }()
	eventually(t, "the first model", func() bool { return follower.Current() != nil })

	load := &clients{url: server.URL, answers: map[Answer]int{}}
	asking, done := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() { load.run(asking) })
	}
	second := publish(t, client, 2)
	seen := func(version *pb.ModelVersion, output float64) func() bool {
		return func() bool {
			load.mutex.Lock()
			defer load.mutex.Unlock()
			return load.answers[Answer{output, version.GetLocation()}] > 0
		}
	}
	eventually(t, "an answer of the second model", seen(second, 20))
	_, err := client.Stages.RollbackStage(t.Context(), &pb.RollbackStageRequest{Name: stageName(first)})
	live.Must(t, err)
	eventually(t, "the first model again", func() bool { return follower.Current().Version == first.GetLocation() })
	done()
	group.Wait()
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}

	if len(load.faults) > 0 {
		t.Fatalf("%d requests failed, the first with %v", len(load.faults), load.faults[0])
	}
	if len(load.answers) != 2 || !seen(first, 10)() {
		t.Fatalf("answers mix models: %v", load.answers)
	}
	kept, err := filepath.Glob(filepath.Join(follower.Dir, "*"))
	live.Must(t, err)
	if len(kept) != 1 {
		t.Fatalf("%d versions are kept on disk", len(kept))
	}
}

func stageName(version *pb.ModelVersion) string {
	model, _, _ := strings.Cut(version.GetName(), "/versions/")
	return model + "/stages/production"
}

func TestTheLastModelGoesOnWhenTheNextCannotBeLoadedOrTheStageIsVacant(t *testing.T) {
	client := live.Client(t)
	first := publish(t, client, 1)
	follower := &Follower{Client: client, Stage: "fraud@production", Dir: t.TempDir()}
	live.Must(t, follower.takeOver(t.Context()))

	broken, err := client.Push(t.Context(), "fraud", live.Directory(t, map[string]string{"readme": "no model"}), nil)
	live.Must(t, err)
	live.Promote(t, client, broken.GetName())
	if err := follower.takeOver(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	_, err = client.Stages.VacateStage(t.Context(), &pb.VacateStageRequest{Name: stageName(first)})
	live.Must(t, err)
	live.Must(t, follower.reload(t.Context()))
	if follower.Current().Version != first.GetLocation() {
		t.Fatal("the first model is gone")
	}
}
