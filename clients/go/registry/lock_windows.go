package registry

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// lockFile holds a lock against every other process and goroutine, and waits for it; it returns how to let go. Here the
// lock is that the file is open: nobody else may open it meanwhile, and the system closes it for a process that died.
func lockFile(ctx context.Context, path string) (func(), error) {
	const sharingViolation = syscall.Errno(32)
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	for {
		handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
			syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
		if err == nil {
			return func() { _ = syscall.CloseHandle(handle) }, nil
		}
		if !errors.Is(err, sharingViolation) {
			return nil, err
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
}
