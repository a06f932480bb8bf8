package main

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

const (
	changesWait = 20 * time.Second
	// progressStep is how many bytes may move without a line.
	progressStep = 8 << 20
)

// watching is an open watch and what it told; a goroutine reads it.
type watching struct {
	client *registry.Client
	owned  bool
	stop   context.CancelFunc
	told   chan registry.Change
	ended  chan struct{}
	err    error
	token  string
}

func (d *driver) watch(_ context.Context, client *registry.Client, s step) (any, error) {
	var options []registry.WatchOption
	if s.flag("state", false) {
		options = append(options, registry.WithState())
	}
	if token := s.text("resume_token"); token != "" {
		options = append(options, registry.WithResumeToken(token))
	}
	if types := s.texts("types"); types != nil {
		options = append(options, registry.WithTypes(types...))
	}
	if stages := s.texts("stages"); stages != nil {
		options = append(options, registry.WithStages(stages...))
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &watching{
		client: client, owned: client.Conn() != d.client.Conn(), stop: stop,
		told: make(chan registry.Change), ended: make(chan struct{}), token: s.text("resume_token"),
	}
	go w.read(ctx, client.Watch(s.text("parent"), options...))
	if before := d.watches[s.text("watch")]; before != nil {
		before.close()
	}
	d.watches[s.text("watch")] = w
	return map[string]any{}, nil
}

// read hands over what comes.
func (w *watching) read(ctx context.Context, from *registry.Watch) {
	defer close(w.ended)
	for change, err := range from.Changes(ctx) {
		if err != nil {
			w.err = err
			return
		}
		select {
		case w.told <- change:
		case <-ctx.Done():
			return
		}
	}
}

func (w *watching) close() {
	w.stop()
	<-w.ended
	if w.owned {
		_ = w.client.Close()
	}
}

func (d *driver) changes(_ context.Context, _ *registry.Client, s step) (any, error) {
	w := d.watches[s.text("changes")]
	if w == nil {
		return nil, defectf("no watch %q is open", s.text("changes"))
	}
	count, err := s.number("count", 1)
	if err != nil {
		return nil, defect{err}
	}
	late := time.After(changesWait)
	changes := []any{}
	for waiting := true; waiting && int64(len(changes)) < count; {
		select {
		case change := <-w.told:
			if change.ResumeToken != "" {
				w.token = change.ResumeToken
			}
			changes = append(changes, describe(change))
			if s.flag("live", false) {
				d.line("change", describe(change))
			}
		case <-w.ended:
			if w.err != nil {
				return nil, w.err
			}
			return nil, defectf("the watch ended after %d of %d changes", len(changes), count)
		case <-late:
			// What came is compared with what should have.
			waiting = false
		}
	}
	return map[string]any{"changes": changes, "resumeToken": w.token}, nil
}

func describe(change registry.Change) map[string]any {
	made := map[string]any{"kind": string(change.Kind), "revision": strconv.FormatInt(change.Revision, 10)}
	if change.Event != nil {
		made["type"], made["resource"] = change.Event.GetResourceType(), change.Event.GetName()
		made["action"] = strings.TrimPrefix(change.Event.GetAction().String(), "EVENT_ACTION_")
	}
	return made
}

func (d *driver) close(_ context.Context, _ *registry.Client, s step) (any, error) {
	w := d.watches[s.text("close")]
	if w == nil {
		return nil, defectf("no watch %q is open", s.text("close"))
	}
	delete(d.watches, s.text("close"))
	w.close()
	return map[string]any{}, nil
}

func (d *driver) closeAll() {
	for _, w := range d.watches {
		w.close()
	}
}

// progress prints how far all files of a transfer together are, as the library tells it.
func (d *driver) progress(s step) []registry.TransferOption {
	if !s.flag("progress", false) {
		return nil
	}
	var mutex sync.Mutex
	sizes, done := map[string]int64{}, map[string]int64{}
	var printed int64 = -progressStep
	return []registry.TransferOption{registry.WithProgress(func(p registry.Progress) {
		mutex.Lock()
		defer mutex.Unlock()
		sizes[p.Path] = p.Size
		if p.Phase == registry.PhaseHash {
			return
		}
		done[p.Path] = p.Done
		sent, total := sum(done), sum(sizes)
		if sent >= printed+progressStep || sent < printed || sent == total {
			printed = sent
			d.line("progress", map[string]any{"sent": sent, "total": total})
		}
	})}
}

func sum(values map[string]int64) int64 {
	var all int64
	for _, value := range values {
		all += value
	}
	return all
}
