package registry

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
)

const (
	// DefaultEndpoint is where `mreg serve` listens by default.
	DefaultEndpoint = "127.0.0.1:7470"
	// DefaultTimeout is the deadline of a call whose context has none.
	DefaultTimeout = 30 * time.Second
)

// Option is a setting of [New]. What no option says is taken from its `MREG_…` variable, or else its default.
type Option func(*settings)

type settings struct {
	endpoint       string
	token          *string
	tokenFile      string
	caFile         string
	clientCert     string
	clientKey      string
	project        string
	timeout        time.Duration
	insecure       bool
	dialOptions    []grpc.DialOption
	local, secured bool
}

// WithEndpoint sets where the registry is: `host:port`, several `IP:port` with commas between, or a gRPC target such as
// `dns:///registry.internal:7470`; calls take turns over all its addresses. Default: MREG_ENDPOINT, or [DefaultEndpoint].
//
// A loopback endpoint is plaintext unless [WithCAFile] or [WithClientCertificate] is given; any other is TLS unless
// [WithInsecure] is.
func WithEndpoint(endpoint string) Option { return func(s *settings) { s.endpoint = endpoint } }

// WithToken sets the bearer token; the empty one means to send none. Default: MREG_TOKEN, or the token file, or for a
// loopback endpoint the admin token of this user's `mreg serve`.
func WithToken(token string) Option {
	return func(s *settings) { s.token, s.tokenFile = &token, "" }
}

// WithTokenFile sets a file with the bearer token; it is read again when it changed, so that it may be rotated. Default:
// MREG_TOKEN_FILE.
func WithTokenFile(path string) Option {
	return func(s *settings) { s.token, s.tokenFile = nil, path }
}

// WithCAFile sets the authorities, PEM, that a server's certificate must come from. Default: MREG_CA_FILE, or those of
// the system.
func WithCAFile(path string) Option { return func(s *settings) { s.caFile = path } }

// WithClientCertificate sets the files, PEM, to prove with who this client is (mTLS); they are read again for every
// connection. Default: MREG_CLIENT_CERT and MREG_CLIENT_KEY.
func WithClientCertificate(certificate, key string) Option {
	return func(s *settings) { s.clientCert, s.clientKey = certificate, key }
}

// WithProject sets the project of references that name none. Default: MREG_PROJECT, or [DefaultProject].
func WithProject(id string) Option { return func(s *settings) { s.project = id } }

// WithTimeout sets the deadline of a call whose context has none, not of a push, pull or watch. Default: [DefaultTimeout].
func WithTimeout(timeout time.Duration) Option { return func(s *settings) { s.timeout = timeout } }

// WithInsecure talks plaintext to an endpoint that is not this machine. Whoever is on the way reads the token.
func WithInsecure() Option { return func(s *settings) { s.insecure = true } }

// WithDialOptions adds options of grpc-go, such as a stats handler.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dialOptions = append(s.dialOptions, options...) }
}

// load returns the settings of these options, the environment and the defaults.
func load(options []Option) (*settings, error) {
	s := &settings{}
	for _, option := range options {
		option(s)
	}
	s.endpoint = cmp.Or(s.endpoint, os.Getenv("MREG_ENDPOINT"), DefaultEndpoint)
	s.project = cmp.Or(s.project, os.Getenv("MREG_PROJECT"), DefaultProject)
	s.caFile = cmp.Or(s.caFile, os.Getenv("MREG_CA_FILE"))
	s.timeout = cmp.Or(s.timeout, DefaultTimeout)
	if s.clientCert == "" && s.clientKey == "" {
		s.clientCert, s.clientKey = os.Getenv("MREG_CLIENT_CERT"), os.Getenv("MREG_CLIENT_KEY")
	}
	s.takeToken()
	s.local = isLocal(s.endpoint)
	certified := s.caFile != "" || s.clientCert != ""
	s.secured = !s.insecure && (!s.local || certified)
	switch {
	case s.insecure && certified:
		return nil, invalid("WithInsecure and a CA or client certificate contradict each other; leave one out")
	case (s.clientCert == "") != (s.clientKey == ""):
		return nil, invalid("a client certificate and its key go together; give both or none")
	case !idForm.MatchString(s.project):
		return nil, invalid("project %q is no valid id: lower-case letters, digits, '.', '_' and '-'", s.project)
	case s.timeout < 0:
		return nil, invalid("a timeout of %s has passed before any call; give a positive one", s.timeout)
	}
	return s, nil
}

func (s *settings) takeToken() {
	if s.token != nil || s.tokenFile != "" {
		return
	}
	if token := os.Getenv("MREG_TOKEN"); token != "" {
		s.token = &token
		return
	}
	s.tokenFile = os.Getenv("MREG_TOKEN_FILE")
}

// tokens returns where the token of each call comes from.
func (s *settings) tokens() *tokenSource {
	switch {
	case s.token != nil:
		return &tokenSource{token: *s.token}
	case s.tokenFile != "":
		return &tokenSource{file: s.tokenFile}
	case s.local && s.clientCert == "":
		// Looked for at every call: the server may not have been started yet.
		return &tokenSource{file: filepath.Join(serverDataDir(), "admin.token"), found: true}
	}
	// Who brings a certificate is who it says.
	return &tokenSource{}
}

// serverDataDir returns where `mreg serve` of this user keeps its data.
func serverDataDir() string {
	if dir := os.Getenv("MREG_DATA_DIR"); dir != "" {
		return dir
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "mreg")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "mreg"
	}
	return filepath.Join(home, ".local", "share", "mreg")
}

// names reports whether the endpoint of a reference is this registry's: a token is never sent where a text says.
func (s *settings) names(endpoint string) bool {
	addresses := s.endpoint
	if _, after, ok := strings.Cut(addresses, "//"); ok {
		addresses = after
	}
	addresses = strings.TrimLeft(addresses, "/")
	for address := range strings.SplitSeq(addresses, ",") {
		if address == endpoint {
			return true
		}
	}
	return false
}
