package registry

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
)

const (
	// maxIdleAttempts is without progress; together about 45 s, longer than a replica takes to be replaced.
	maxIdleAttempts = 8
	firstPause      = 300 * time.Millisecond
	maxPause        = 10 * time.Second
)

var (
	transientKinds   = []Kind{ErrUnavailable, ErrInternal, ErrDeadlineExceeded, ErrCancelled}
	transientReasons = []string{
		"TRANSACTION_CONFLICT", "OFFSET_AHEAD", "CHUNK_CHECKSUM", "RATE_LIMITED", "TOO_MANY_STREAMS",
	}
)

// isTransient reports whether going on from what has arrived may help.
func isTransient(failure *Error) bool {
	if failure.final {
		return false
	}
	if slices.Contains(transientReasons, failure.Reason) {
		return true
	}
	return slices.Contains(transientKinds, failure.Kind)
}

// patience says when a cut transfer goes on, and waits before it does. It counts attempts since bytes last moved.
type patience struct {
	attempts int
	forgot   bool
}

// moved starts counting anew: bytes moved.
func (p *patience) moved() { p.attempts = 0 }

// wait sleeps before the next attempt. It returns the failure itself when it is not transient, when there were too many
// attempts, and when the context is done.
func (p *patience) wait(ctx context.Context, failure *Error) error {
	p.attempts++
	if ctx.Err() != nil {
		return stopped(ctx, failure)
	}
	if failure.Reason == "REVISION_UNKNOWN" && !p.forgot {
		// The client forgot the revision by now.
		p.forgot = true
		return nil
	}
	// A stream is ended with its token. Its next attempt takes the one that a rotated file has by now; once, because a
	// token that was merely given ends for good.
	isRenewed := failure.Reason == "TOKEN_EXPIRED" && p.attempts == 1
	if !(isTransient(failure) || isRenewed) || p.attempts > maxIdleAttempts {
		return failure
	}
	pause := min(maxPause, firstPause<<(p.attempts-1))
	if !sleep(ctx, spread(max(failure.RetryAfter, pause))) {
		return stopped(ctx, failure)
	}
	return nil
}

// stopped returns why a transfer ended whose context is done, whatever its last call said.
func stopped(ctx context.Context, last *Error) error {
	if last != nil && last.cause != nil && (last.Kind == ErrCancelled || last.Kind == ErrDeadlineExceeded) {
		return last
	}
	if ctx.Err() == context.DeadlineExceeded {
		return late("the transfer took longer than its context allows: %w", ctx.Err())
	}
	return localError(ErrCancelled, codes.Canceled, "the transfer was cancelled: %w", ctx.Err())
}
