package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

const retryPause = 2 * time.Second

// Follower keeps the model of a stage in memory. Whoever answers a request takes it once and uses it to the end, so that a
// new model never changes an answer on its way.
type Follower struct {
	Client *registry.Client
	// Stage is what is followed, such as `fraud@production`.
	Stage string
	// Dir is for model files; each version has a directory of its own in it.
	Dir string

	loaded atomic.Pointer[Loaded]
}

// Loaded is a model in memory and which version it is.
type Loaded struct {
	*Model
	// Version is its pinned reference.
	Version string
	digest  string
	dir     string
}

// Current returns the model to answer with, nil before there is one.
func (f *Follower) Current() *Loaded { return f.loaded.Load() }

// Run follows the stage until the context is done. It returns only what does not pass by itself: a stage that does not
// exist, a token that does not count.
func (f *Follower) Run(ctx context.Context) error {
	// With the state first: what is in production now comes as any later change does.
	watch := f.Client.Watch(f.Stage, registry.WithState())
	for change, err := range watch.Changes(ctx) {
		if err != nil {
			return err
		}
		if change.ResumeToken == "" {
			// More of the same transaction is to come.
			continue
		}
		if err := f.reload(ctx); err != nil {
			return err
		}
	}
	return nil
}

// reload takes over what the stage holds now, however long the registry or the disk needs. The model that is loaded
// answers meanwhile, and goes on when the stage has none.
func (f *Follower) reload(ctx context.Context) error {
	for {
		err := f.takeOver(ctx)
		switch {
		case err == nil:
			return nil
		case registry.ReasonOf(err) == "STAGE_VACANT":
			slog.Warn("the stage is vacant; the last model goes on", "stage", f.Stage)
			return nil
		case ctx.Err() != nil, errors.Is(err, registry.ErrPermissionDenied), errors.Is(err, registry.ErrUnauthenticated):
			return err
		}
		slog.Error("the model cannot be taken over; the last one goes on", "stage", f.Stage, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryPause):
		}
	}
}

func (f *Follower) takeOver(ctx context.Context) error {
	answer, err := f.Client.Resolve(ctx, f.Stage)
	if err != nil {
		return err
	}
	before := f.Current()
	if before != nil && before.digest == answer.GetManifestDigest() {
		return nil
	}
	next, err := f.load(ctx, answer)
	if err != nil {
		return err
	}
	f.loaded.Store(next)
	slog.Info("serving", "version", next.Version)
	if before != nil {
		// It is in memory for as long as a request needs it; its files are not.
		return os.RemoveAll(before.dir)
	}
	return nil
}

func (f *Follower) load(ctx context.Context, answer *pb.ResolveResponse) (*Loaded, error) {
	dir := filepath.Join(f.Dir, strings.TrimPrefix(answer.GetManifestDigest(), "sha256:"))
	// Pinned: whatever the stage holds by now, these are the bytes that were resolved.
	if _, err := f.Client.Pull(ctx, answer.GetLocation(), dir); err != nil {
		return nil, err
	}
	model, err := LoadModel(dir)
	if err != nil {
		return nil, err
	}
	return &Loaded{model, answer.GetLocation(), answer.GetManifestDigest(), dir}, nil
}
