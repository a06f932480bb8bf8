package registry

import (
	"context"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

// Resolve returns the version a reference stands for now; a bare model name means its newest READY version. It fails with
// [ErrIntegrity] when a pinned digest is not that of the version. For a point in time or an answer only when something
// moved, call Stages.Resolve with [Reference.Request].
func (c *Client) Resolve(ctx context.Context, ref string) (*pb.ResolveResponse, error) {
	return c.resolve(ctx, ref, pb.ResolveView_RESOLVE_VIEW_BASIC)
}

func (c *Client) resolve(ctx context.Context, ref string, view pb.ResolveView) (*pb.ResolveResponse, error) {
	found, err := c.Reference(ref)
	if err != nil {
		return nil, err
	}
	request := found.Request()
	request.View = view
	answer, err := c.Stages.Resolve(ctx, request)
	if err != nil {
		return nil, err
	}
	if found.Digest != "" && answer.GetManifestDigest() != found.Digest {
		return nil, mismatch(found.Digest, answer.GetManifestDigest(),
			"%s has manifest digest %s, %s pins another; do not load it, and find out who changed the reference or "+
				"the registry", answer.GetVersion(), answer.GetManifestDigest(), found)
	}
	return answer, nil
}

// Request returns the request that resolves the reference, to set more in: AsOf, IfChangedSince, MinRevision, View. Whoever
// sends it compares the answer's digest with r.Digest.
func (r Reference) Request() *pb.ResolveRequest {
	request := &pb.ResolveRequest{Name: r.ModelName()}
	switch {
	case r.Number != 0:
		request.Selector = &pb.ResolveRequest_Version{Version: r.Number}
	case r.Digest != "":
		request.Selector = &pb.ResolveRequest_ManifestDigest{ManifestDigest: r.Digest}
	case r.Pointer != "":
		request.Selector = &pb.ResolveRequest_Reference{Reference: r.Pointer}
	default:
		request.Selector = &pb.ResolveRequest_Alias{Alias: "latest"}
	}
	return request
}
