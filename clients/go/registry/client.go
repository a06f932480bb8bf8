package registry

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
)

// Client is a registry. The generated stubs of every service are fields of it. Concurrency: any number of goroutines.
type Client struct {
	Services

	settings   *settings
	connection *grpc.ClientConn
	*memory
}

// memory is what has to be remembered between calls.
type memory struct {
	// written is the revision our last write reached: no read may be older.
	written atomic.Int64
	// closed is whether the client was closed: nothing passes by itself any more.
	closed atomic.Bool
	// uid is that of the registry, as far as known; revisions compare only within one.
	uid atomic.Pointer[string]
}

// New returns a client. What no option says is taken from the environment; nothing is connected before the first call.
// It fails with [ErrInvalidArgument].
func New(options ...Option) (*Client, error) {
	settings, err := load(options)
	if err != nil {
		return nil, err
	}
	c := &Client{settings: settings, memory: &memory{}}
	c.connection, err = dial(settings, c.interceptUnary, c.interceptStream)
	if err != nil {
		return nil, err
	}
	c.Services = newServices(c.connection)
	return c, nil
}

// InProject returns this client with another project for references that name none. Both share the connection.
func (c *Client) InProject(id string) (*Client, error) {
	if !idForm.MatchString(id) {
		return nil, invalid("project %q is no valid id: lower-case letters, digits, '.', '_' and '-'", id)
	}
	other, settings := *c, *c.settings
	settings.project = id
	other.settings = &settings
	return &other, nil
}

// Close ends the connection; calls still open, and watches, end with [ErrCancelled].
func (c *Client) Close() error {
	c.closed.Store(true)
	return c.connection.Close()
}

// Conn returns the connection, for services outside this contract (health, reflection).
func (c *Client) Conn() grpc.ClientConnInterface { return c.connection }

// Endpoint returns where the registry is.
func (c *Client) Endpoint() string { return c.settings.endpoint }

// Project returns the id of the project a short reference is in.
func (c *Client) Project() string { return c.settings.project }

// Revision returns the revision the last write through this client reached, 0 before the first. Another client that is
// given it by [WithMinRevision] sees that write, on whatever replica.
func (c *Client) Revision() int64 { return c.written.Load() }

// Reference returns what text stands for in this registry: any form people type, or a resource name. It fails with
// [ErrInvalidArgument], also when the text names another registry: a token is never sent where a text says.
func (c *Client) Reference(text string) (Reference, error) {
	if found, ok := parseName(text); ok {
		return found, nil
	}
	found, err := ParseReference(text, c.settings.project)
	if err != nil {
		return Reference{}, err
	}
	if found.Endpoint != "" && !c.settings.names(found.Endpoint) {
		return Reference{}, invalid("%s is in the registry at %s, this client talks to %s; connect to that one by "+
			"WithEndpoint or MREG_ENDPOINT=%[2]s", shown(text), found.Endpoint, c.settings.endpoint)
	}
	return found, nil
}

// model returns the reference of a model, given in any form without a version.
func (c *Client) model(text string) (Reference, error) {
	found, err := c.Reference(text)
	if err == nil && (found.Number != 0 || found.Digest != "" || found.Pointer != "") {
		return Reference{}, invalid("%q is a version; a model is wanted here, e.g. %s", text, found.Model)
	}
	return found, err
}

// VersionName returns the resource name of the version a reference stands for now. A number is taken as it is: it may be
// that of a draft.
func (c *Client) VersionName(ctx context.Context, ref string) (string, error) {
	found, err := c.Reference(ref)
	if err != nil {
		return "", err
	}
	if found.Number != 0 && found.Digest == "" {
		return found.VersionName()
	}
	answer, err := c.Resolve(ctx, ref)
	return answer.GetVersion(), err
}
