package registry_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

// TestMain takes the registry's variables out of the environment: no test means the server of whoever runs it.
func TestMain(m *testing.M) {
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "MREG_") {
			_ = os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// clean makes sure that no token of this user's server is found.
func clean(t *testing.T) {
	t.Helper()
	t.Setenv("MREG_DATA_DIR", t.TempDir())
}

func ask(t *testing.T, client *registry.Client) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := client.Server.GetServerInfo(ctx, &pb.GetServerInfoRequest{})
	return err
}

// said returns the authorization header of the last call.
func (f *fake) said() string {
	calls := f.asked("GetServerInfo")
	return calls[len(calls)-1].header("authorization")
}

func TestEverythingComesFromTheEnvironment(t *testing.T) {
	clean(t)
	f := newFake(t)
	f.answers("GetServerInfo", &pb.ServerInfo{})
	t.Setenv("MREG_ENDPOINT", f.endpoint)
	t.Setenv("MREG_TOKEN", "from-environment")
	t.Setenv("MREG_PROJECT", "team")
	client := newClient(t)
	equal(t, client.Endpoint(), f.endpoint, "endpoint")
	equal(t, client.Project(), "team", "project")
	noError(t, ask(t, client))
	equal(t, f.said(), "Bearer from-environment", "token")
	if agent := f.asked("GetServerInfo")[0].header("user-agent"); !strings.HasPrefix(agent, "mreg-go/"+registry.Version) {
		t.Fatalf("user agent %q", agent)
	}

	noError(t, ask(t, newClient(t, registry.WithToken("given"))))
	equal(t, f.said(), "Bearer given", "a token that is given")
	noError(t, ask(t, newClient(t, registry.WithToken(""))))
	equal(t, f.said(), "", "no token that is given")
}

func TestATokenFileIsReadAgainWhenItChanged(t *testing.T) {
	clean(t)
	f := newFake(t)
	f.answers("GetServerInfo", &pb.ServerInfo{})
	file := filepath.Join(t.TempDir(), "token")
	t.Setenv("MREG_ENDPOINT", f.endpoint)
	t.Setenv("MREG_TOKEN_FILE", file)
	client := newClient(t)
	require(t, ask(t, client), registry.ErrUnauthenticated)
	for _, token := range []string{"one", "two", "six"} {
		noError(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
		noError(t, ask(t, client))
		equal(t, f.said(), "Bearer "+token, "token")
	}
	old := time.Now().Add(-time.Hour)
	noError(t, os.Chtimes(file, old, old))
	noError(t, ask(t, client))
	equal(t, f.said(), "Bearer six", "token of a file that rests")
	// As kubelet rotates: another file in its place.
	noError(t, os.WriteFile(file+"2", []byte("ten"), 0o600))
	noError(t, os.Chtimes(file+"2", old, old))
	noError(t, os.Rename(file+"2", file))
	noError(t, ask(t, client))
	equal(t, f.said(), "Bearer ten", "token of another file")
}

func TestTheTokenOfThisUsersServerIsFound(t *testing.T) {
	clean(t)
	f := newFake(t)
	f.answers("GetServerInfo", &pb.ServerInfo{})
	client := newClient(t, registry.WithEndpoint(f.endpoint))
	noError(t, ask(t, client))
	equal(t, f.said(), "", "token before the server was started")
	file := filepath.Join(os.Getenv("MREG_DATA_DIR"), "admin.token")
	noError(t, os.WriteFile(file, []byte("admin"), 0o600))
	noError(t, ask(t, client))
	equal(t, f.said(), "Bearer admin", "token")
	noError(t, os.Chmod(file, 0o644))
	require(t, ask(t, client), registry.ErrUnauthenticated)
}

func TestSettingsThatContradictEachOtherAreRefused(t *testing.T) {
	clean(t)
	for name, options := range map[string][]registry.Option{
		"insecure with CA":    {registry.WithInsecure(), registry.WithCAFile("ca.pem")},
		"certificate alone":   {registry.WithClientCertificate("cert.pem", "")},
		"project":             {registry.WithProject("No Such")},
		"names with commas":   {registry.WithEndpoint("a:1,b:1")},
		"no CA file":          {registry.WithCAFile("/no/such/file")},
		"no certificate":      {registry.WithClientCertificate("/no/such", "/file")},
		"unknown scheme":      {registry.WithEndpoint("vsock:1:2")},
		"timeout in the past": {registry.WithTimeout(-time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := registry.New(options...)
			require(t, err, registry.ErrInvalidArgument)
		})
	}
}

func TestCallsTakeTurnsOverAddressesAndLeaveOutThoseAway(t *testing.T) {
	clean(t)
	one, two := newFake(t), newFake(t)
	one.answers("GetServerInfo", &pb.ServerInfo{})
	two.answers("GetServerInfo", &pb.ServerInfo{})
	client := newClient(t, registry.WithEndpoint("127.0.0.1:1,"+one.endpoint+","+two.endpoint), registry.WithToken("t"))
	within := time.Now().Add(10 * time.Second)
	for len(one.asked("GetServerInfo")) < 3 || len(two.asked("GetServerInfo")) < 3 {
		noError(t, ask(t, client))
		if time.Now().After(within) {
			t.Fatal("calls do not take turns")
		}
	}
	one.server.Stop()
	for range 20 {
		noError(t, ask(t, client))
	}
}

// authority signs certificates for a test.
type authority struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.certificate, a.key = a.make(t, "ca", nil)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// make writes NAME.pem and NAME.key; addresses are those the certificate is for.
func (a *authority) make(t *testing.T, name string, addresses []net.IP) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	noError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: addresses,
		IsCA: a.certificate == nil, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	noError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	noError(t, err)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	noError(t, os.WriteFile(a.file(name+".pem"), certificate, 0o600))
	noError(t, os.WriteFile(a.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	made, err := x509.ParseCertificate(der)
	noError(t, err)
	return made, key
}

func (a *authority) server(t *testing.T, clients bool) grpc.ServerOption {
	t.Helper()
	a.make(t, "server", []net.IP{net.IPv4(127, 0, 0, 1)})
	pair, err := tls.LoadX509KeyPair(a.file("server.pem"), a.file("server.key"))
	noError(t, err)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if clients {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		config.ClientCAs.AddCert(a.certificate)
	}
	return grpc.Creds(credentials.NewTLS(config))
}

func TestTLSHoldsTheServerAgainstTheAuthorities(t *testing.T) {
	clean(t)
	ours, others := newAuthority(t), newAuthority(t)
	f := newFake(t, ours.server(t, false))
	f.answers("GetServerInfo", &pb.ServerInfo{})
	t.Setenv("MREG_CA_FILE", ours.file("ca.pem"))
	noError(t, ask(t, newClient(t, registry.WithEndpoint(f.endpoint), registry.WithToken("t"))))
	equal(t, f.said(), "Bearer t", "token")
	noError(t, ask(t, newClient(t, registry.WithEndpoint("127.0.0.1:1,"+f.endpoint), registry.WithToken("t"))))

	stranger := newClient(t, registry.WithEndpoint(f.endpoint), registry.WithToken("t"), registry.WithCAFile(others.file("ca.pem")))
	require(t, ask(t, stranger), registry.ErrUnavailable)
	equal(t, len(f.asked("GetServerInfo")), 2, "calls that came through")
}

func TestAClientProvesWhoItIsByItsCertificate(t *testing.T) {
	clean(t)
	ours := newAuthority(t)
	f := newFake(t, ours.server(t, true))
	f.answers("GetServerInfo", &pb.ServerInfo{})
	t.Setenv("MREG_CA_FILE", ours.file("ca.pem"))
	t.Setenv("MREG_ENDPOINT", f.endpoint)
	if err := ask(t, newClient(t)); err == nil {
		t.Fatal("a client without a certificate came through")
	}
	ours.make(t, "client", nil)
	noError(t, os.WriteFile(filepath.Join(os.Getenv("MREG_DATA_DIR"), "admin.token"), []byte("admin"), 0o600))
	own := registry.WithClientCertificate(ours.file("client.pem"), ours.file("client.key"))
	noError(t, ask(t, newClient(t, own)))
	equal(t, f.said(), "", "token of a client that has a certificate")
}

func TestATokenNeverLeavesInPlaintextUnasked(t *testing.T) {
	clean(t)
	f := newFake(t)
	f.on("GetServerInfo", func(context.Context, proto.Message) (proto.Message, error) { return &pb.ServerInfo{}, nil })
	// A name that is no loopback endpoint by its text, whatever it resolves to.
	_, port, err := net.SplitHostPort(f.endpoint)
	noError(t, err)
	endpoint := registry.WithEndpoint("passthrough:///127.0.0.1.:" + port)
	if err := ask(t, newClient(t, endpoint, registry.WithToken("t"))); err == nil {
		t.Fatal("plaintext to another machine")
	}
	equal(t, len(f.asked("GetServerInfo")), 0, "calls that came through")
}
