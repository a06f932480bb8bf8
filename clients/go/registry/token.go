package registry

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// tokenSource gives the bearer token of each call. A file is read again when it changed, so that it may be rotated.
type tokenSource struct {
	file string
	// found is a file nobody named: it may be absent, and must be this user's alone.
	found bool
	// secured is whether the token must not leave in plaintext.
	secured bool

	mutex sync.Mutex
	token string
	seen  fs.FileInfo
}

// GetRequestMetadata returns the authorization header; grpc-go asks for it at every attempt.
func (t *tokenSource) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := t.current()
	if err != nil {
		return nil, err
	}
	if token == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity reports whether grpc-go must refuse to send it in plaintext.
func (t *tokenSource) RequireTransportSecurity() bool { return t.secured }

func (t *tokenSource) current() (string, error) {
	if t.file == "" {
		return t.token, nil
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	facts, err := os.Stat(t.file)
	if t.found && errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", unauthenticated("the token file cannot be used: %w", err)
	}
	if t.found && !isPrivate(facts) {
		return "", unauthenticated("%s (%s) can be read by others or is not yours; "+
			"chmod 600 it, or make a new token if someone may have seen it", t.file, facts.Mode())
	}
	if t.seen != nil && os.SameFile(t.seen, facts) && t.seen.ModTime().Equal(facts.ModTime()) && !isFresh(facts) {
		return t.token, nil
	}
	content, err := os.ReadFile(t.file)
	if err != nil {
		return "", unauthenticated("the token file cannot be used: %w", err)
	}
	t.token, t.seen = strings.TrimSpace(string(content)), facts
	return t.token, nil
}

// isFresh reports whether a file may change once more without its time telling: clocks of file systems are coarse.
func isFresh(facts fs.FileInfo) bool {
	const tick = 2 * time.Second
	return time.Since(facts.ModTime()) < tick
}
