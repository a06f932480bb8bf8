package registry

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// localFile is a file on this disk and what its bytes are.
type localFile struct {
	from   *fileSource
	digest FileDigest
}

// openTree returns the directory that holds what is to be pushed, and the paths of its files in it: a directory gives its
// content, `.git` left out; a file gives itself.
func openTree(path string) (*os.Root, []string, error) {
	facts, err := os.Stat(path)
	if err != nil {
		return nil, nil, invalid("%s cannot be pushed: %w", path, err)
	}
	if !facts.IsDir() {
		root, err := os.OpenRoot(filepath.Dir(path))
		if err != nil {
			return nil, nil, invalid("%s cannot be read: %w", path, err)
		}
		return root, []string{filepath.Base(path)}, nil
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, nil, invalid("%s cannot be read: %w", path, err)
	}
	paths, err := walk(root)
	if err == nil && len(paths) == 0 {
		err = invalid("%s has no file to push", path)
	}
	if err != nil {
		_ = root.Close()
		return nil, nil, err
	}
	return root, paths, nil
}

// walk returns the files below root. Links to files inside it are followed; every other link is refused.
func walk(root *os.Root) ([]string, error) {
	var paths []string
	err := fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return invalid("%s/%s cannot be read: %w", root.Name(), path, err)
		}
		if strings.EqualFold(entry.Name(), ".git") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			if err := checkLink(root, path); err != nil {
				return err
			}
		}
		paths = append(paths, path)
		return nil
	})
	return paths, err
}

func checkLink(root *os.Root, path string) error {
	const advice = "replace it by a copy (cp -rL) and push again"
	facts, err := root.Stat(path)
	switch {
	case err != nil:
		return invalid("%s/%s is a link to nothing, or out of the directory; %s: %w", root.Name(), path, advice, err)
	case facts.IsDir():
		return invalid("%s/%s is a link to a directory; %s", root.Name(), path, advice)
	}
	return nil
}

// hashTree returns the files with their digests, in the order of paths; each is read once.
func hashTree(ctx context.Context, root *os.Root, paths []string, settings transfer) ([]localFile, error) {
	if err := CheckPaths(paths); err != nil {
		return nil, err
	}
	files := make([]localFile, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(settings.parallel)
	for at, path := range paths {
		group.Go(func() error {
			from, err := newFileSource(root, path)
			if err != nil {
				return err
			}
			digest, err := digestOf(ctx, from, path, settings.report)
			files[at] = localFile{from, digest}
			return err
		})
	}
	return files, group.Wait()
}
