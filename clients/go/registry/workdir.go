package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const lockName = ".lock"

// workDir is the hidden directory in which a version is put together, beside where it is to be. Its name tells which
// version, so that the next pull of the same goes on with what is there; its lock keeps two from doing so at once.
//
// Files lie in it under `files`, seen through a root that no path or link leads out of.
type workDir struct {
	path   string
	target string
	root   *os.Root
	unlock func()
}

func openWork(ctx context.Context, target, digest string) (*workDir, error) {
	short := strings.TrimPrefix(digest, "sha256:")[:16]
	made := filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".mreg-"+short)
	fault := func(err error) error { return precondition("%s cannot be written: %w", made, err) }
	unlock, err := lockWork(ctx, made)
	if ctx.Err() != nil && err != nil {
		return nil, stopped(ctx, nil)
	}
	if err != nil {
		return nil, fault(err)
	}
	// Not before: whoever held the lock may have moved them all away.
	if err := os.MkdirAll(filepath.Join(made, "files"), 0o700); err != nil {
		unlock()
		return nil, fault(err)
	}
	root, err := os.OpenRoot(filepath.Join(made, "files"))
	if err != nil {
		unlock()
		return nil, fault(err)
	}
	return &workDir{made, target, root, unlock}, nil
}

// lockWork makes the directory and holds its lock.
func lockWork(ctx context.Context, made string) (func(), error) {
	for {
		if err := os.MkdirAll(made, 0o700); err != nil {
			return nil, err
		}
		unlock, err := lockFile(ctx, filepath.Join(made, lockName))
		if !errors.Is(err, fs.ErrNotExist) {
			return unlock, err
		}
		// Whoever held the lock was done, and removed the directory.
	}
}

func (w *workDir) close() {
	_ = w.root.Close()
	w.unlock()
}

// remove throws the directory away. The lock goes last, and the directory only when nobody made another lock in it.
func (w *workDir) remove() error {
	err := os.RemoveAll(filepath.Join(w.path, "files"))
	// Where an open file cannot be removed both stay, and harm nobody.
	_ = os.Remove(filepath.Join(w.path, lockName))
	_ = os.Remove(w.path)
	return err
}

// place makes the version appear: all of it, or nothing.
func (w *workDir) place(files []FileDigest) error {
	if err := w.prune(files); err != nil {
		return err
	}
	// An empty directory may be in the way; one with anything in it stays, and the rename fails.
	if err := os.Remove(w.target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return precondition("%s is in the way: %w", w.target, err)
	}
	made := filepath.Join(w.path, "files")
	if err := errors.Join(os.Chmod(made, 0o755), syncTree(w.root, files)); err != nil {
		return precondition("%s cannot be written: %w", w.path, err)
	}
	if err := os.Rename(made, w.target); err != nil {
		return precondition("%s cannot be put in place: %w", w.target, err)
	}
	return errors.Join(w.remove(), syncDir(filepath.Dir(w.target)))
}

// prune removes what is not of the version: it was there before this pull.
func (w *workDir) prune(files []FileDigest) error {
	wanted := map[string]bool{}
	for _, file := range files {
		for name := file.Path; name != "."; name = path.Dir(name) {
			wanted[name] = true
		}
	}
	return fs.WalkDir(w.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." || wanted[name] {
			return err
		}
		if err := w.root.RemoveAll(name); err != nil {
			return err
		}
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}

// copy makes a second file of the same bytes, and hashes them once more.
func (w *workDir) copy(from string, file FileDigest) error {
	source, err := w.root.Open(from)
	if err != nil {
		return precondition("%s cannot be read: %w", from, err)
	}
	defer func() { _ = source.Close() }()
	if err := w.root.RemoveAll(file.Path); err != nil {
		return precondition("%s cannot be written: %w", file.Path, err)
	}
	partial, err := w.open(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(writerFunc(partial.write), source); err != nil {
		partial.close()
		return err
	}
	return partial.finish(file)
}

type writerFunc func([]byte) error

// Write writes.
func (w writerFunc) Write(content []byte) (int, error) { return len(content), w(content) }

// partialFile is a file on its way, and the hash of what is there.
type partialFile struct {
	work  *workDir
	name  string
	file  *os.File
	hash  hash.Hash
	bytes int64
}

// open returns the file as far as it is there. Anything else in its place goes: a link, or more bytes than it has.
func (w *workDir) open(file FileDigest) (*partialFile, error) {
	fault := func(err error) error { return precondition("%s/%s cannot be written: %w", w.path, file.Path, err) }
	if facts, err := w.root.Lstat(file.Path); err == nil && (!facts.Mode().IsRegular() || facts.Size() > file.Size) {
		if err := w.root.RemoveAll(file.Path); err != nil {
			return nil, fault(err)
		}
	}
	if err := w.root.MkdirAll(path.Dir(file.Path), 0o755); err != nil {
		return nil, fault(err)
	}
	opened, err := w.root.OpenFile(file.Path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fault(err)
	}
	p := &partialFile{work: w, name: file.Path, file: opened, hash: sha256.New()}
	if p.bytes, err = io.Copy(p.hash, opened); err != nil {
		p.close()
		return nil, fault(err)
	}
	return p, nil
}

func (p *partialFile) write(content []byte) error {
	if _, err := p.file.Write(content); err != nil {
		return precondition("%s/%s cannot be written: %w", p.work.path, p.name, err)
	}
	p.hash.Write(content)
	p.bytes += int64(len(content))
	return nil
}

func (p *partialFile) sum() string { return hex.EncodeToString(p.hash.Sum(nil)) }

func (p *partialFile) close() { _ = p.file.Close() }

// finish makes the bytes lasting, or throws them away when they are not those of the file.
func (p *partialFile) finish(file FileDigest) error {
	if got := p.sum(); got != file.SHA256 || p.bytes != file.Size {
		p.close()
		return errors.Join(mismatch(file.SHA256, got, "the bytes of %s hash to %s, not %s; they were not kept",
			file.Path, got, file.SHA256), p.work.root.Remove(p.name))
	}
	if err := errors.Join(p.file.Sync(), p.file.Close()); err != nil {
		return precondition("%s/%s cannot be written: %w", p.work.path, p.name, err)
	}
	return nil
}
