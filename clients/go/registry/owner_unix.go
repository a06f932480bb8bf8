//go:build unix

package registry

import (
	"io/fs"
	"os"
	"syscall"
)

// isPrivate reports whether only this user can read a file.
func isPrivate(facts fs.FileInfo) bool {
	owner, ok := facts.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Geteuid() && facts.Mode().Perm()&0o077 == 0
}
