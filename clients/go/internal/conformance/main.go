// Command conformance is the driver of the conformance cases; tests/conformance/README.md says what it is to do.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

// testCase is a named list of steps.
type testCase struct {
	Name  string           `json:"name"`
	Steps []map[string]any `json:"steps"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: conformance CASES.json")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	var given struct {
		Cases []testCase `json:"cases"`
	}
	decoder := json.NewDecoder(file)
	// Sizes and revisions pass what a float64 holds.
	decoder.UseNumber()
	if err := decoder.Decode(&given); err != nil {
		return err
	}
	client, err := registry.New()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	out := &printer{encoder: json.NewEncoder(os.Stdout)}
	out.encoder.SetEscapeHTML(false)
	input := bufio.NewReader(os.Stdin)
	for _, each := range given.Cases {
		d := &driver{client: client, out: out, input: input, name: each.Name, saved: map[string]any{}, watches: map[string]*watching{}}
		for at, step := range each.Steps {
			d.step = at
			out.print(map[string]any{"case": each.Name, "step": at, "outcome": d.outcome(step)})
		}
		d.closeAll()
	}
	return nil
}

// printer writes one JSON object a line; os.Stdout has no buffer.
type printer struct {
	mutex   sync.Mutex
	encoder *json.Encoder
}

func (p *printer) print(line map[string]any) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if err := p.encoder.Encode(line); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
	}
}

// driver runs the steps of one case.
type driver struct {
	client  *registry.Client
	out     *printer
	input   *bufio.Reader
	name    string
	step    int
	saved   map[string]any
	watches map[string]*watching
}

// line prints what comes before the outcome of the present step.
func (d *driver) line(key string, value any) {
	d.out.print(map[string]any{"case": d.name, "step": d.step, key: value})
}

// verb does a step and returns its reply.
type verb func(ctx context.Context, client *registry.Client, step step) (any, error)

func (d *driver) verbs() map[string]verb {
	return map[string]verb{
		"call": d.call, "all": d.all, "push": d.push, "upload": d.upload, "stream": d.stream, "pull": d.pull,
		"read": d.read, "resolve": d.resolve, "parse": d.parse, "manifest": d.manifest, "artifact_id": d.artifactID, "check_paths": d.checkPaths,
		"watch": d.watch, "changes": d.changes, "close": d.close, "wait": d.wait,
	}
}
