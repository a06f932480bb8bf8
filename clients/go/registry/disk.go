package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
)

// holdsExactly reports whether a directory has these files, unchanged, and no other; links count as change.
func holdsExactly(root *os.Root, files []FileDigest) bool {
	wanted := map[string]FileDigest{}
	for _, file := range files {
		wanted[file.Path] = file
	}
	err := fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, ok := wanted[name]
		if !ok || !entry.Type().IsRegular() || !isFile(root, file) {
			return fs.ErrInvalid
		}
		delete(wanted, name)
		return nil
	})
	return err == nil && len(wanted) == 0
}

// isFile reports whether a file has the bytes it should have.
func isFile(root *os.Root, file FileDigest) bool {
	opened, err := root.Open(file.Path)
	if err != nil {
		return false
	}
	defer func() { _ = opened.Close() }()
	digest := sha256.New()
	count, err := io.Copy(digest, opened)
	return err == nil && count == file.Size && hex.EncodeToString(digest.Sum(nil)) == file.SHA256
}

// syncTree makes the directories of files survive a power cut.
func syncTree(root *os.Root, files []FileDigest) error {
	done := map[string]bool{}
	for _, file := range files {
		for dir := path.Dir(file.Path); !done[dir]; dir = path.Dir(dir) {
			done[dir] = true
			opened, err := root.Open(dir)
			if err != nil {
				return err
			}
			if err := errors.Join(ignoreUnsupported(opened.Sync()), opened.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

func syncDir(dir string) error {
	opened, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(ignoreUnsupported(opened.Sync()), opened.Close())
}

// ignoreUnsupported: some file systems cannot sync a directory, and need not.
func ignoreUnsupported(err error) error {
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) {
		return nil
	}
	return err
}
