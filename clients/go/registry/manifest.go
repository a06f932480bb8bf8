package registry

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

const artifactIDChars = 26

// FileDigest is a file of a version and what its bytes are.
type FileDigest struct {
	// Path inside the version, `/` between segments.
	Path string
	// SHA256 of the bytes, 64 lowercase hex characters.
	SHA256 string
	// Size in bytes.
	Size int64
}

func fileDigest(artifact *pb.Artifact) FileDigest {
	return FileDigest{artifact.GetPath(), artifact.GetDigest().GetSha256(), artifact.GetDigest().GetSizeBytes()}
}

func (f FileDigest) message() *pb.Digest {
	return &pb.Digest{Sha256: f.SHA256, SizeBytes: f.Size}
}

// ManifestDigest returns `sha256:` and the hex digest of the file list, sorted by the UTF-8 bytes of the path: what to pin.
func ManifestDigest(files []FileDigest) string {
	sorted := slices.SortedFunc(slices.Values(files), func(a, b FileDigest) int { return cmp.Compare(a.Path, b.Path) })
	digest := sha256.New()
	digest.Write([]byte("registry-grpc manifest v1\n"))
	for _, file := range sorted {
		fmt.Fprintf(digest, "%s %d %s\n", file.SHA256, file.Size, file.Path)
	}
	return "sha256:" + hex.EncodeToString(digest.Sum(nil))
}

// ArtifactID returns the last segment of the resource name of the file at path: base32 of its SHA-256, 26 characters.
func ArtifactID(path string) string {
	digest := sha256.Sum256([]byte(path))
	return strings.ToLower(base32.StdEncoding.EncodeToString(digest[:])[:artifactIDChars])
}

// ArtifactName returns the resource name of the file at path in a version, which is given by its own resource name.
func ArtifactName(version, path string) string {
	return version + "/artifacts/" + ArtifactID(path)
}
