package registry_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

// serve makes a fake resolve every reference to a version with these files.
func serve(t *testing.T, files map[string][]byte) *reads {
	t.Helper()
	r := newReads(t, files)
	r.fake.on("Resolve", func(context.Context, proto.Message) (proto.Message, error) { return r.answer(), nil })
	return r
}

func (r *reads) answer() *pb.ResolveResponse {
	var listed []registry.FileDigest
	answer := &pb.ResolveResponse{Version: version, FileCount: int32(len(r.files))}
	for path, content := range r.files {
		artifact := artifactOf(path, content)
		answer.Artifacts = append(answer.Artifacts, artifact)
		listed = append(listed, registry.FileDigest{
			Path: path, SHA256: artifact.GetDigest().GetSha256(), Size: artifact.GetDigest().GetSizeBytes(),
		})
	}
	answer.ManifestDigest = registry.ManifestDigest(listed)
	return answer
}

// tree returns the files below a directory, and fails when there is anything else.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	noError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[filepath.ToSlash(name)] = string(content)
		return err
	}))
	return found
}

func requireTree(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	found := tree(t, dir)
	equal(t, len(found), len(files), "files")
	for path, content := range files {
		if found[path] != string(content) {
			t.Fatalf("%s has other bytes", path)
		}
	}
}

// entries returns the names in a directory: nothing may be left beside what was pulled.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	listed, err := os.ReadDir(dir)
	noError(t, err)
	var names []string
	for _, entry := range listed {
		names = append(names, entry.Name())
	}
	return names
}

func TestAVersionIsPulledWhole(t *testing.T) {
	files := map[string][]byte{"a.txt": []byte("hello"), "b/c/w.bin": randomBytes(2*mib + 3), "b/twin": []byte("hello"), "empty": nil}
	r := serve(t, files)
	above := t.TempDir()
	dir := filepath.Join(above, "deep", "model")
	client := r.fake.client(t)
	answer, err := client.Pull(t.Context(), "m@production", dir)
	noError(t, err)
	equal(t, answer.GetVersion(), version, "version")
	requireTree(t, dir, files)
	equal(t, len(entries(t, filepath.Dir(dir))), 1, "entries beside it")
	equal(t, len(r.requests), 2, "files fetched: equal bytes once, no bytes not at all")
	facts, err := os.Stat(dir)
	noError(t, err)
	equal(t, facts.Mode().Perm(), 0o755, "mode")

	var phases []registry.Phase
	_, err = client.Pull(t.Context(), "m@production", dir, registry.WithProgress(func(p registry.Progress) { phases = append(phases, p.Phase) }))
	noError(t, err)
	equal(t, len(r.requests), 2, "files fetched again")
	equal(t, slices.Contains(phases, registry.PhaseDownload), false, "download told")

	noError(t, os.WriteFile(filepath.Join(dir, "a.txt"), []byte("hullo"), 0o600))
	_, err = client.Pull(t.Context(), "m@production", dir)
	require(t, err, registry.ErrFailedPrecondition)
	equal(t, tree(t, dir)["a.txt"], "hullo", "the file of another")
}

func TestAnEmptyDirectoryIsReplacedAndAnyOtherIsNot(t *testing.T) {
	r := serve(t, map[string][]byte{"a": []byte("hello")})
	client := r.fake.client(t)
	_, err := client.Pull(t.Context(), "m", t.TempDir())
	noError(t, err)
	full := t.TempDir()
	noError(t, os.WriteFile(filepath.Join(full, "other"), nil, 0o600))
	link := filepath.Join(t.TempDir(), "link")
	noError(t, os.Symlink(t.TempDir(), link))
	file := filepath.Join(t.TempDir(), "file")
	noError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{full, link, file} {
		_, err = client.Pull(t.Context(), "m", dir)
		require(t, err, registry.ErrFailedPrecondition)
	}
	equal(t, len(r.requests), 1, "files fetched")
}

func TestAFileListThatLeadsOutOfTheDirectoryIsRefused(t *testing.T) {
	for name, paths := range map[string][]string{
		"up": {"../evil"}, "absolute": {"/tmp/evil"}, "git": {".git/config"}, "case": {"a", "A"}, "file and directory": {"a", "a/b"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string][]byte{}
			for _, path := range paths {
				files[path] = []byte("hello")
			}
			r := serve(t, files)
			above := t.TempDir()
			_, err := r.fake.client(t).Pull(t.Context(), "m", filepath.Join(above, "model"))
			require(t, err, registry.ErrIntegrity)
			equal(t, len(entries(t, above)), 0, "entries written")
			equal(t, len(r.requests), 0, "files fetched")
		})
	}
}

func TestAFileListThatIsNotThatOfTheManifestIsRefused(t *testing.T) {
	r := serve(t, map[string][]byte{"a": []byte("hello")})
	wrong := r.answer()
	wrong.Artifacts[0].Digest.Sha256 = artifactOf("a", []byte("evil")).GetDigest().GetSha256()
	r.fake.answers("Resolve", wrong)
	_, err := r.fake.client(t).Pull(t.Context(), "m", filepath.Join(t.TempDir(), "model"))
	equal(t, require(t, err, registry.ErrIntegrity).Metadata["expected"], wrong.GetManifestDigest(), "expected")

	short := r.answer()
	short.Artifacts[0].Digest.Sha256 = "0"
	r.fake.answers("Resolve", short)
	_, err = r.fake.client(t).Pull(t.Context(), "m", filepath.Join(t.TempDir(), "model"))
	require(t, err, registry.ErrIntegrity)
}

func TestALongFileListIsFetchedPageByPage(t *testing.T) {
	files := map[string][]byte{"a": []byte("one"), "b": []byte("two")}
	r := serve(t, files)
	answer := r.answer()
	listed := answer.GetArtifacts()
	answer.Artifacts = listed[:1]
	r.fake.answers("Resolve", answer)
	r.fake.answers("ListArtifacts",
		&pb.ListArtifactsResponse{Artifacts: listed[:1], NextPageToken: "2"}, &pb.ListArtifactsResponse{Artifacts: listed[1:]})
	dir := filepath.Join(t.TempDir(), "model")
	_, err := r.fake.client(t).Pull(t.Context(), "m", dir)
	noError(t, err)
	requireTree(t, dir, files)
}

func TestAPinnedDigestIsHeldAgainstTheAnswer(t *testing.T) {
	r := serve(t, map[string][]byte{"a": []byte("hello")})
	client := r.fake.client(t)
	_, err := client.Resolve(t.Context(), "m/1@"+digest)
	equal(t, require(t, err, registry.ErrIntegrity).Reason, "DIGEST_MISMATCH", "reason")
	_, err = client.Pull(t.Context(), "m/1@"+r.answer().GetManifestDigest(), filepath.Join(t.TempDir(), "model"))
	noError(t, err)
}

// cutPull pulls a file of which only 2 MiB come, and returns the work directory's file.
func cutPull(t *testing.T, r *reads, dir string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := r.fake.client(t).Pull(ctx, "m", dir, registry.WithProgress(func(p registry.Progress) {
		if p.Phase == registry.PhaseDownload && p.Done >= 2*mib {
			cancel()
		}
	}))
	require(t, err, registry.ErrCancelled)
	found, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".model.mreg-*", "files", "w.bin"))
	noError(t, err)
	equal(t, len(found), 1, "work directories")
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("the directory is there before it is whole")
	}
	return found[0]
}

func TestAPullGoesOnWithWhatAnEarlierOneLeft(t *testing.T) {
	files := map[string][]byte{"w.bin": randomBytes(6 * mib)}
	r := serve(t, files)
	dir := filepath.Join(t.TempDir(), "model")
	cutPull(t, r, dir)
	_, err := r.fake.client(t).Pull(t.Context(), "m", dir)
	noError(t, err)
	requireTree(t, dir, files)
	if offset := r.requests[len(r.requests)-1].GetReadOffset(); offset < 2*mib {
		t.Fatalf("it began at byte %d", offset)
	}
	equal(t, len(entries(t, filepath.Dir(dir))), 1, "entries beside it")
}

func TestDamageInWhatAnEarlierPullLeftIsFetchedAgain(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"other bytes": func(path string) error { return os.WriteFile(path, make([]byte, mib), 0o600) },
		"too many":    func(path string) error { return os.WriteFile(path, make([]byte, 9*mib), 0o600) },
		"a link": func(path string) error {
			target := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(path))), "victim")
			if err := os.WriteFile(target, []byte("untouched"), 0o600); err != nil {
				return err
			}
			return os.Rename(linkTo(t, target), path)
		},
		"a directory": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.MkdirAll(filepath.Join(path, "x"), 0o700)
		},
		"more files": func(path string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(path), "more"), nil, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string][]byte{"w.bin": randomBytes(6 * mib)}
			r := serve(t, files)
			dir := filepath.Join(t.TempDir(), "model")
			noError(t, damage(cutPull(t, r, dir)))
			_, err := r.fake.client(t).Pull(t.Context(), "m", dir)
			noError(t, err)
			requireTree(t, dir, files)
			victim, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "victim"))
			equal(t, err != nil || string(victim) == "untouched", true, "the file behind the link")
		})
	}
}

func linkTo(t *testing.T, target string) string {
	t.Helper()
	link := filepath.Join(filepath.Dir(target), "link")
	noError(t, os.Symlink(target, link))
	return link
}

func TestWrongBytesNeverAppear(t *testing.T) {
	r := serve(t, map[string][]byte{"a": []byte("hello"), "b": randomBytes(mib)})
	r.lie = func(content []byte) []byte { content[0] ^= 1; return content }
	dir := filepath.Join(t.TempDir(), "model")
	_, err := r.fake.client(t).Pull(t.Context(), "m", dir)
	require(t, err, registry.ErrIntegrity)
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("the directory appeared")
	}
}

func TestPullsOfOneVersionToOnePlaceDoNotDisturbEachOther(t *testing.T) {
	files := map[string][]byte{"w.bin": randomBytes(3 * mib), "a": []byte("hello")}
	r := serve(t, files)
	dir := filepath.Join(t.TempDir(), "model")
	client := r.fake.client(t)
	done := make(chan error)
	const pulls = 4
	for range pulls {
		go func() {
			_, err := client.Pull(t.Context(), "m", dir, registry.WithParallel(4))
			done <- err
		}()
	}
	for range pulls {
		noError(t, <-done)
	}
	requireTree(t, dir, files)
	equal(t, len(entries(t, filepath.Dir(dir))), 1, "entries beside it")
	equal(t, len(r.requests), 2, "files fetched")
	_, err := client.Pull(t.Context(), "m", dir, registry.WithParallel(0))
	require(t, err, registry.ErrInvalidArgument)
}
