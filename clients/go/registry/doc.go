// Package registry is the Go client of a model registry.
//
//	client, err := registry.New() // MREG_ENDPOINT, MREG_TOKEN or MREG_TOKEN_FILE, MREG_CA_FILE, MREG_PROJECT
//	answer, err := client.Resolve(ctx, "fraud@production")
//	_, err = client.Pull(ctx, answer.GetLocation(), "./model")
//	watch := client.Watch("fraud@production", registry.WithState())
//	for change, err := range watch.Changes(ctx) { ... }
//
// A [Client] has the generated stub of every service as a field. Calls through them are those of the methods here: they
// carry the token, a deadline, the request_id of a mutation and the revision of the last write through the client, they
// are sent again when that is safe, and they fail with an [*Error].
//
// Nothing is connected before the first call. One Client serves any number of goroutines.
package registry

// Version is the version of this package.
const Version = "0.1.0"
