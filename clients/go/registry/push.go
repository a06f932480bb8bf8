package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

const (
	// pushKey is the annotation by which an equal push is found again.
	pushKey = "mreg.dev/push-key"
	// newestSearched is how many versions are looked at for it.
	newestSearched = 100
	// maxPerCall is the most digests, attachments or items in one call.
	maxPerCall = 1000
)

// Push makes a version of a model with the files at path, a directory or one file, and the given fields, which may be nil.
// It is READY unless [WithDraft] is given. The model is made when it is not there.
//
// The same push again sends only what is missing, and once finalized returns the same version, unless [WithNewVersion] is
// given. Bytes the project holds are not sent. It fails with [ErrIntegrity] when a file changes meanwhile.
func (c *Client) Push(
	ctx context.Context, model, path string, fields *pb.ModelVersion, options ...TransferOption,
) (*pb.ModelVersion, error) {
	settings, err := transferOf(options)
	if err != nil {
		return nil, err
	}
	to, err := c.model(model)
	if err != nil {
		return nil, err
	}
	root, paths, err := openTree(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	files, err := hashTree(ctx, root, paths, settings)
	if err != nil {
		return nil, err
	}
	p := push{c, to, settings, files, ManifestDigest(digests(files))}
	return p.run(ctx, fields)
}

// push is one push of hashed files.
type push struct {
	client   *Client
	model    Reference
	settings transfer
	files    []localFile
	digest   string
}

func (p *push) run(ctx context.Context, fields *pb.ModelVersion) (*pb.ModelVersion, error) {
	fields, err := keyed(fields, p.digest)
	if err != nil {
		return nil, err
	}
	version, err := p.find(ctx, fields.GetAnnotations()[pushKey])
	if err != nil {
		return nil, err
	}
	if version == nil {
		request := &pb.CreateVersionRequest{Parent: p.model.ModelName(), Version: fields}
		if version, err = p.client.Models.CreateVersion(ctx, request); err != nil {
			return nil, err
		}
	}
	if version.GetState() != pb.VersionState_VERSION_STATE_DRAFT {
		return version, nil
	}
	if err := p.fill(ctx, version.GetName()); err != nil {
		return nil, err
	}
	for _, file := range p.files {
		// Also those that were not read again because the registry held what they were.
		if err := file.from.check(); err != nil {
			return nil, err
		}
	}
	if p.settings.draft {
		return p.client.Models.GetVersion(ctx, &pb.GetVersionRequest{Name: version.GetName()})
	}
	return p.client.Models.FinalizeVersion(ctx, &pb.FinalizeVersionRequest{
		Name: version.GetName(), ManifestDigest: p.digest,
	})
}

// keyed returns the fields with the key of the push: a digest over the manifest and the fields, whatever the order they
// were given in.
func keyed(fields *pb.ModelVersion, digest string) (*pb.ModelVersion, error) {
	made := &pb.ModelVersion{}
	if fields != nil {
		made = proto.CloneOf(fields)
	}
	if _, taken := made.GetAnnotations()[pushKey]; taken {
		return nil, invalid("the annotation %s is written by Push; leave it out", pushKey)
	}
	text, err := protojson.Marshal(made)
	if err != nil {
		return nil, invalid("the fields cannot be encoded: %w", err)
	}
	// protojson varies its spaces on purpose; what encoding/json writes is the same every time.
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, invalid("the fields cannot be encoded: %w", err)
	}
	canonical, err := json.Marshal(plain)
	if err != nil {
		return nil, invalid("the fields cannot be encoded: %w", err)
	}
	key := sha256.Sum256(slices.Concat([]byte(digest), []byte("\n"), canonical))
	if made.Annotations == nil {
		made.Annotations = map[string]string{}
	}
	made.Annotations[pushKey] = hex.EncodeToString(key[:])
	return made, nil
}

// find returns the version an equal push made or began, nil when there is none; it makes the model when that is missing.
func (p *push) find(ctx context.Context, key string) (*pb.ModelVersion, error) {
	// A draft is resumed also with WithNewVersion: it is no version yet, and its bytes are already there.
	states := []pb.VersionState{pb.VersionState_VERSION_STATE_DRAFT}
	if !p.settings.again {
		states = append(states, pb.VersionState_VERSION_STATE_READY)
	}
	var found *pb.ModelVersion
	for _, state := range states {
		request := &pb.ListVersionsRequest{
			Parent: p.model.ModelName(), PageSize: newestSearched, States: []pb.VersionState{state},
		}
		page, err := p.client.Models.ListVersions(ctx, request)
		if err != nil {
			if failure := asError(err); failure.Reason != "MODEL_NOT_FOUND" {
				return nil, failure
			}
			return nil, p.makeModel(ctx)
		}
		for _, version := range page.GetVersions() {
			if version.GetAnnotations()[pushKey] == key && (found == nil || state == pb.VersionState_VERSION_STATE_READY) {
				found = version
				break
			}
		}
	}
	return found, nil
}

func (p *push) makeModel(ctx context.Context) error {
	parent := "projects/" + p.model.Project
	_, err := p.client.Models.CreateModel(ctx, &pb.CreateModelRequest{Parent: parent, ModelId: p.model.Model})
	if err == nil {
		return nil
	}
	failure := asError(err)
	if failure.Kind == ErrAlreadyExists && failure.Metadata["softDeleted"] == "" {
		// Another push was first.
		return nil
	}
	return failure
}

// fill brings into the draft what it lacks.
func (p *push) fill(ctx context.Context, version string) error {
	wanted, err := p.lacking(ctx, version)
	if err != nil {
		return err
	}
	held, err := p.held(ctx, wanted)
	if err != nil {
		return err
	}
	var kept, sent, twins []localFile
	seen := map[string]bool{}
	for _, file := range wanted {
		switch sha256 := file.digest.SHA256; {
		case held[sha256]:
			kept = append(kept, file)
		case seen[sha256]:
			twins = append(twins, file)
		default:
			seen[sha256] = true
			sent = append(sent, file)
		}
	}
	// First what is held: it is kept for an hour only, and sending may take longer.
	if err := p.attach(ctx, version, kept); err != nil {
		return err
	}
	if err := p.send(ctx, version, sent); err != nil {
		return err
	}
	return p.attach(ctx, version, twins)
}

// lacking returns the files the draft does not have.
func (p *push) lacking(ctx context.Context, version string) ([]localFile, error) {
	present := map[string]string{}
	request := &pb.ListArtifactsRequest{Parent: version, PageSize: maxPerCall}
	for file, err := range All(ctx, p.client.Artifacts.ListArtifacts, request, (*pb.ListArtifactsResponse).GetArtifacts) {
		if err != nil {
			return nil, err
		}
		present[file.GetPath()] = file.GetDigest().GetSha256()
	}
	var wanted []localFile
	for _, file := range p.files {
		if present[file.digest.Path] != file.digest.SHA256 {
			wanted = append(wanted, file)
		}
	}
	return wanted, nil
}

// held returns the SHA-256 of those of the files whose bytes the project holds.
func (p *push) held(ctx context.Context, files []localFile) (map[string]bool, error) {
	held := map[string]bool{}
	for some := range slices.Chunk(files, maxPerCall) {
		request := &pb.FindMissingArtifactsRequest{Parent: "projects/" + p.model.Project}
		for _, file := range some {
			request.Digests = append(request.Digests, file.digest.message())
			held[file.digest.SHA256] = true
		}
		answer, err := p.client.Artifacts.FindMissingArtifacts(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, missing := range answer.GetMissing() {
			delete(held, missing.GetSha256())
		}
	}
	return held, nil
}

func (p *push) send(ctx context.Context, version string, files []localFile) error {
	open, err := p.client.openUploads(ctx, version, digests(files))
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.settings.parallel)
	for _, file := range files {
		group.Go(func() error {
			upload := fileUpload{p.client, version, file.from, file.digest, p.settings.mediaType, p.settings.report}
			_, err := upload.run(ctx, open[file.digest.Path])
			return err
		})
	}
	return group.Wait()
}

func (p *push) attach(ctx context.Context, version string, files []localFile) error {
	for some := range slices.Chunk(files, maxPerCall) {
		request := &pb.AttachArtifactsRequest{Parent: version}
		for _, file := range some {
			request.Attachments = append(request.Attachments, &pb.ArtifactAttachment{
				Path: file.digest.Path, Digest: file.digest.message(), MediaType: p.settings.mediaType,
			})
		}
		if _, err := p.client.Artifacts.AttachArtifacts(ctx, request); err != nil {
			return err
		}
		for _, file := range some {
			p.settings.report(Progress{PhaseAttach, file.digest.Path, file.digest.Size, file.digest.Size})
		}
	}
	return nil
}

func digests(files []localFile) []FileDigest {
	var found []FileDigest
	for _, file := range files {
		found = append(found, file.digest)
	}
	return found
}
