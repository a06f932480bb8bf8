package registry_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

// The golden vectors of tests/conformance are run through the driver; here are the forms and what this package adds.

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestReferencesPeopleType(t *testing.T) {
	for text, want := range map[string]registry.Reference{
		"fraud":                       {Project: "default", Model: "fraud"},
		"fraud/7":                     {Project: "default", Model: "fraud", Number: 7},
		"fraud/999999999999999999":    {Project: "default", Model: "fraud", Number: 999999999999999999},
		"fraud@production":            {Project: "default", Model: "fraud", Pointer: "production"},
		"fraud@" + digest:             {Project: "default", Model: "fraud", Digest: digest},
		"team:fraud/7@" + digest:      {Project: "team", Model: "fraud", Number: 7, Digest: digest},
		"mreg://team/fraud/7":         {Project: "team", Model: "fraud", Number: 7},
		"mreg://[::1]:7470/team/m":    {Project: "team", Model: "m", Endpoint: "[::1]:7470"},
		"mreg://r.example:1/team/m@x": {Project: "team", Model: "m", Pointer: "x", Endpoint: "r.example:1"},
	} {
		got, err := registry.ParseReference(text, "")
		noError(t, err)
		equal(t, got, want, text)
		if got.Endpoint == "" {
			again, err := registry.ParseReference(got.String(), "other")
			noError(t, err)
			want.Project = again.Project
			equal(t, again, want, "again "+got.String())
		}
	}
	for _, text := range []string{
		"", " fraud", "fraud\n", "Fraud", "fraud-", "fraud/0", "fraud/07", "fraud/7@production", "fraud@7", "a:b:c",
		"fraud/1000000000000000000", "team/fraud/7", "mreg://fraud", "mreg:///team/fraud", strings.Repeat("a", 64),
	} {
		_, err := registry.ParseReference(text, "")
		require(t, err, registry.ErrInvalidArgument)
	}
}

func TestAReferenceToAnotherRegistryIsRefused(t *testing.T) {
	client := newClient(t, registry.WithEndpoint("dns:///registry.example.com:7470"), registry.WithProject("team"))
	for text, want := range map[string]string{
		"fraud":                                  "projects/team/models/fraud",
		"projects/p/models/fraud":                "projects/p/models/fraud",
		"projects/p/models/fraud/versions/7":     "projects/p/models/fraud",
		"mreg://registry.example.com:7470/p/m/7": "projects/p/models/m",
	} {
		found, err := client.Reference(text)
		noError(t, err)
		equal(t, found.ModelName(), want, text)
	}
	for _, text := range []string{"mreg://evil.example.com:7470/p/m", "mreg://registry.example.com:7471/p/m", "projects/p/models/"} {
		_, err := client.Reference(text)
		require(t, err, registry.ErrInvalidArgument)
	}
	_, err := client.InProject("No Such")
	require(t, err, registry.ErrInvalidArgument)
}

func TestPathsThatAreNotTheSameEverywhereAreFaulty(t *testing.T) {
	for _, path := range []string{
		"a", "model.safetensors", "a/b/c.json", ".hidden", "..a", "a..b", "my file.txt", "é", ".gitignore", "console.txt",
		strings.Repeat("a", 1024), strings.Repeat("a/", 31) + "a",
	} {
		noError(t, registry.CheckPaths([]string{path}))
	}
	for _, path := range []string{
		"", "/etc/passwd", "../a", "a/../b", "a/..", "./a", "a//b", "a/", `a\b`, "C:a", ".git/config", "a/.GIT/config", "NUL",
		"a/con.txt", "lpt9.tar.gz", "a.", "a ", " a", "a\nb", "a\x00b", "a\x7fb", "a\u202eb", "a\u2028b", "a\xffb",
		strings.Repeat("a", 1025), strings.Repeat("a/", 32) + "a",
	} {
		require(t, registry.CheckPaths([]string{"good", path}), registry.ErrInvalidArgument)
	}
}

func TestPathsThatSomeFileSystemTakesForOneCollide(t *testing.T) {
	for _, paths := range [][]string{
		{"a", "A"}, {"straße", "STRASSE"}, {"\u00e9", "e\u0301"}, {"a", "a/b"}, {"A", "a/b"}, {"a/b/c", "a/B"},
	} {
		reversed := slices.Clone(paths)
		slices.Reverse(reversed)
		require(t, registry.CheckPaths(paths), registry.ErrInvalidArgument)
		require(t, registry.CheckPaths(reversed), registry.ErrInvalidArgument)
	}
	for _, paths := range [][]string{{"a", "b"}, {"a/b", "a/c"}, {"a", "ab/c"}, {"a.b", "a/b"}} {
		noError(t, registry.CheckPaths(paths))
	}
}

func TestAManifestIsSortedByTheBytesOfItsPaths(t *testing.T) {
	const hello = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	files := []registry.FileDigest{
		{Path: "\uE000", SHA256: hello, Size: 6}, {Path: "\U0001F600", SHA256: hello, Size: 6},
		{Path: "z", SHA256: empty}, {Path: "é", SHA256: hello, Size: 6},
	}
	equal(t, registry.ManifestDigest(files),
		"sha256:5948502867e2e311401a81a8cdb10b12196f619cb388b0143916e852a70507d6", "digest")
	equal(t, files[0].Path, "\uE000", "first of the caller's files")
	equal(t, registry.ArtifactName("projects/p/models/m/versions/1", "é"),
		"projects/p/models/m/versions/1/artifacts/jkmvk7sagpbvhhpc5nsuoiaxzl", "name")
}
