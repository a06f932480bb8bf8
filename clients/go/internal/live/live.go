// Package live gives tests a real server: that of MREG_ENDPOINT, as its admin of MREG_TOKEN.
package live

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

// Client returns a client of the server, inside a project that no other test uses. Without a server the test fails: a
// test that is skipped proves nothing.
func Client(t *testing.T, options ...registry.Option) *registry.Client {
	t.Helper()
	if os.Getenv("MREG_ENDPOINT") == "" || os.Getenv("MREG_TOKEN") == "" {
		t.Fatal("MREG_ENDPOINT and MREG_TOKEN (an admin's) of a running server are needed")
	}
	client, err := registry.New(options...)
	Must(t, err)
	t.Cleanup(func() { _ = client.Close() })
	project := "go-" + time.Now().UTC().Format("150405.000000000")
	_, err = client.Projects.CreateProject(t.Context(), &pb.CreateProjectRequest{ProjectId: project})
	Must(t, err)
	inside, err := client.InProject(project)
	Must(t, err)
	return inside
}

// Must ends a test that an error makes pointless.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Directory writes files below a new directory.
func Directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, content := range files {
		file := filepath.Join(dir, path)
		Must(t, os.MkdirAll(filepath.Dir(file), 0o700))
		Must(t, os.WriteFile(file, []byte(content), 0o600))
	}
	return dir
}

// Promote brings a version to production, through staging.
func Promote(t *testing.T, client *registry.Client, version string) {
	t.Helper()
	for _, stage := range []string{"staging", "production"} {
		_, err := client.Stages.PromoteVersion(t.Context(), &pb.PromoteVersionRequest{Name: version, Stage: stage})
		Must(t, err)
	}
}
