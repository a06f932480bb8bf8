package registry

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

// Pull brings the files of the version that a reference stands for now to a directory, every byte checked against its
// digest, and returns what the reference stood for. The directory appears whole or not at all; when it has exactly this
// version already, nothing is fetched. [ErrFailedPrecondition] when it holds anything else: files of others are never
// touched. [ErrIntegrity] when anything is not what was pinned.
//
// Until it is whole it is a hidden directory beside it. What a pull that was cut left there is used by the next one.
func (c *Client) Pull(ctx context.Context, ref, dir string, options ...TransferOption) (*pb.ResolveResponse, error) {
	settings, err := transferOf(options)
	if err != nil {
		return nil, err
	}
	answer, err := c.resolve(ctx, ref, pb.ResolveView_RESOLVE_VIEW_FULL)
	if err != nil {
		return nil, err
	}
	artifacts, err := c.list(ctx, answer)
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, invalid("%s is no directory: %w", dir, err)
	}
	p := pull{c, settings, answer.GetManifestDigest(), artifacts}
	return answer, p.run(ctx, dir)
}

// list returns the files of a version, after checking that they are what its manifest digest says.
func (c *Client) list(ctx context.Context, answer *pb.ResolveResponse) ([]*pb.Artifact, error) {
	artifacts := answer.GetArtifacts()
	if len(artifacts) != int(answer.GetFileCount()) {
		artifacts = nil
		request := &pb.ListArtifactsRequest{Parent: answer.GetVersion(), PageSize: maxPerCall}
		for file, err := range All(ctx, c.Artifacts.ListArtifacts, request, (*pb.ListArtifactsResponse).GetArtifacts) {
			if err != nil {
				return nil, err
			}
			artifacts = append(artifacts, file)
		}
	}
	var files []FileDigest
	for _, artifact := range artifacts {
		files = append(files, fileDigest(artifact))
	}
	if err := checkServed(files); err != nil {
		return nil, err
	}
	if got := ManifestDigest(files); got != answer.GetManifestDigest() {
		return nil, mismatch(answer.GetManifestDigest(), got,
			"the files of %s give manifest digest %s, not %s; nothing was written; tell whoever runs the registry",
			answer.GetVersion(), got, answer.GetManifestDigest())
	}
	return artifacts, nil
}

// pull is one pull of listed files.
type pull struct {
	client    *Client
	settings  transfer
	digest    string
	artifacts []*pb.Artifact
}

func (p *pull) run(ctx context.Context, dir string) error {
	if done, err := p.isDone(dir); done || err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return precondition("%s cannot be made: %w", dir, err)
	}
	work, err := openWork(ctx, dir, p.digest)
	if err != nil {
		return err
	}
	defer work.close()
	// Another process may have been faster while this one waited for the lock.
	if done, err := p.isDone(dir); done || err != nil {
		return errors.Join(err, work.remove())
	}
	if err := p.fetchAll(ctx, work); err != nil {
		return err
	}
	return work.place(p.files())
}

func (p *pull) files() []FileDigest {
	var files []FileDigest
	for _, artifact := range p.artifacts {
		files = append(files, fileDigest(artifact))
	}
	return files
}

// isDone reports whether dir has exactly this version already.
func (p *pull) isDone(dir string) (bool, error) {
	facts, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	other := precondition("%s is not empty and not this version; choose a new directory or remove it", dir)
	if err != nil || !facts.IsDir() {
		return false, other
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, precondition("%s cannot be read: %w", dir, err)
	}
	defer func() { _ = root.Close() }()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return false, precondition("%s cannot be read: %w", dir, err)
	}
	if len(entries) == 0 {
		return false, nil
	}
	files := p.files()
	if !holdsExactly(root, files) {
		return false, other
	}
	for _, file := range files {
		p.settings.report(Progress{PhaseKept, file.Path, file.Size, file.Size})
	}
	return true, nil
}

// fetchAll brings every file into the work directory; equal bytes are fetched once.
func (p *pull) fetchAll(ctx context.Context, work *workDir) error {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(p.settings.parallel)
	first := map[string]string{}
	var twins []*pb.Artifact
	for _, artifact := range p.artifacts {
		file := fileDigest(artifact)
		if _, ok := first[file.SHA256]; ok {
			twins = append(twins, artifact)
			continue
		}
		first[file.SHA256] = file.Path
		group.Go(func() error { return p.fetch(within, work, artifact) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, twin := range twins {
		file := fileDigest(twin)
		if err := work.copy(first[file.SHA256], file); err != nil {
			return err
		}
		p.settings.report(Progress{PhaseKept, file.Path, file.Size, file.Size})
	}
	return nil
}

// fetch brings one file into the work directory, from where an earlier pull stopped.
func (p *pull) fetch(ctx context.Context, work *workDir, artifact *pb.Artifact) error {
	file := fileDigest(artifact)
	partial, err := work.open(file)
	if err != nil {
		return err
	}
	resumed := partial.bytes > 0
	if resumed && partial.bytes == file.Size && partial.sum() == file.SHA256 {
		p.settings.report(Progress{PhaseKept, file.Path, file.Size, file.Size})
		return partial.finish(file)
	}
	err = p.receive(ctx, partial, artifact)
	if err == nil {
		err = partial.finish(file)
	} else {
		partial.close()
	}
	if resumed && errors.Is(err, ErrIntegrity) {
		// What the earlier pull left may be the damaged part: once more from the first byte.
		return p.fetch(ctx, work, artifact)
	}
	return err
}

func (p *pull) receive(ctx context.Context, to *partialFile, artifact *pb.Artifact) error {
	file := fileDigest(artifact)
	from := &chunks{client: p.client, name: artifact.GetName(), file: artifact, offset: to.bytes, end: file.Size}
	defer from.close()
	for {
		content, err := from.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := to.write(content); err != nil {
			return err
		}
		p.settings.report(Progress{PhaseDownload, file.Path, to.bytes, file.Size})
	}
}
