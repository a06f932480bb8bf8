package integration

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/internal/live"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

// follow reads changes until one of them says stop.
func follow(t *testing.T, watch *registry.Watch, until func(registry.Change) bool) []registry.Change {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var seen []registry.Change
	for change, err := range watch.Changes(ctx) {
		live.Must(t, err)
		seen = append(seen, change)
		if until(change) {
			break
		}
	}
	return seen
}

func isSynced(change registry.Change) bool { return change.Kind == registry.ChangeSynced }

func TestAWatchTellsTheStateAndThenWhatHappens(t *testing.T) {
	client := live.Client(t)
	version, err := client.Push(t.Context(), "m", live.Directory(t, map[string]string{"a": "x"}), nil)
	live.Must(t, err)
	watch := client.Watch("m@production", registry.WithState())
	seen := follow(t, watch, isSynced)
	if len(seen) != 1 {
		t.Fatalf("a vacant stage has the state %v", seen)
	}
	live.Promote(t, client, version.GetName())
	seen = follow(t, watch, func(change registry.Change) bool { return change.ResumeToken != "" })
	stage := seen[len(seen)-1].Event.GetStage()
	if stage.GetVersion() != version.GetName() || stage.GetManifestDigest() != version.GetManifestDigest() {
		t.Fatalf("production holds %v", stage)
	}

	first := registry.WithState()
	if seen = follow(t, client.Watch("m@production", first), isSynced); len(seen) != 2 || seen[0].Kind != registry.ChangeState {
		t.Fatalf("the state is %v", seen)
	}
}

func TestAWatchThatIsCutMissesAndRepeatsNothing(t *testing.T) {
	const models = 60
	direct := live.Client(t)
	parent := "projects/" + direct.Project()
	p := newProxy(t)
	client, err := registry.New(registry.WithEndpoint(p.endpoint), registry.WithProject(direct.Project()))
	live.Must(t, err)
	defer func() { _ = client.Close() }()
	watch := client.Watch("", registry.WithState(), registry.WithTypes("Model"))
	follow(t, watch, isSynced)
	var wanted []string
	for at := range models {
		wanted = append(wanted, fmt.Sprintf("%s/models/m%d", parent, at))
	}
	go func() {
		for at := range models {
			_, _ = direct.Models.CreateModel(t.Context(), &pb.CreateModelRequest{Parent: parent, ModelId: fmt.Sprintf("m%d", at)})
			if at%7 == 0 {
				p.cut()
			}
		}
	}()
	var found []string
	for len(found) < models {
		// Now and then another watch goes on where the last one stood.
		watch = client.Watch("", registry.WithTypes("Model"), registry.WithResumeToken(watch.ResumeToken()))
		follow(t, watch, func(change registry.Change) bool {
			found = append(found, change.Event.GetName())
			return len(found)%10 == 0
		})
	}
	if !slices.Equal(found, wanted) {
		t.Fatalf("it told %v", found)
	}
}

func TestAWatchOfWhatIsNotThereIsRefused(t *testing.T) {
	client := live.Client(t)
	for _, err := range client.Watch("none", registry.WithState()).Changes(t.Context()) {
		want(t, err, registry.ErrNotFound, "MODEL_NOT_FOUND")
	}
	for _, err := range client.Watch("", registry.WithTypes("Nonsense")).Changes(t.Context()) {
		want(t, err, registry.ErrInvalidArgument, "INVALID_FIELD")
	}
}
