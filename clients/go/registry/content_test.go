package registry_test

import "math/rand/v2"

// randomBytes returns bytes that are the same in every run.
func randomBytes(count int) []byte {
	seed := [32]byte{7}
	content := make([]byte, count)
	_, _ = rand.NewChaCha8(seed).Read(content)
	return content
}
