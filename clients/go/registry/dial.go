package registry

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
)

// maxMessageBytes is that of answers: a page of versions with model cards may pass gRPC's 4 MiB.
const maxMessageBytes = 16 << 20

// dial returns a connection that connects when first used.
func dial(s *settings, unary grpc.UnaryClientInterceptor, stream grpc.StreamClientInterceptor) (*grpc.ClientConn, error) {
	target, err := targetOf(s.endpoint)
	if err != nil {
		return nil, err
	}
	transport, err := transportOf(s)
	if err != nil {
		return nil, err
	}
	tokens := s.tokens()
	tokens.secured = s.secured
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(tokens),
		grpc.WithChainUnaryInterceptor(unary),
		grpc.WithChainStreamInterceptor(stream),
		grpc.WithResolvers(addressList("ipv4"), addressList("ipv6")),
		grpc.WithDefaultServiceConfig(serviceConfig()),
		// A text record of the name's domain must not decide what is sent again.
		grpc.WithDisableServiceConfig(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// gRPC waits up to 2 minutes after refused connections. In a rolling restart the first replica would be back
		// for long, unasked, when the last one goes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)),
		grpc.WithUserAgent("mreg-go/" + Version),
	}
	if strings.Contains(s.endpoint, ",") {
		// One name for all of them, or the list itself would be the name that certificates are held against.
		first, _, _ := strings.Cut(listScheme.ReplaceAllString(s.endpoint, ""), ",")
		options = append(options, grpc.WithAuthority(first))
	}
	connection, err := grpc.NewClient(target, append(options, s.dialOptions...)...)
	if err != nil {
		return nil, invalid("endpoint %q cannot be used: %w", s.endpoint, err)
	}
	return connection, nil
}

func transportOf(s *settings) (credentials.TransportCredentials, error) {
	if !s.secured {
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.caFile != "" {
		authorities, err := os.ReadFile(s.caFile)
		if err != nil {
			return nil, invalid("the CA file cannot be read: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, invalid("the CA file %s has no certificate in PEM", s.caFile)
		}
	}
	if s.clientCert == "" {
		return credentials.NewTLS(config), nil
	}
	own := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		// At every handshake: certificates are renewed while a client lives.
		pair, err := tls.LoadX509KeyPair(s.clientCert, s.clientKey)
		return &pair, err
	}
	if _, err := own(nil); err != nil {
		return nil, invalid("the client certificate cannot be used: %w", err)
	}
	config.GetClientCertificate = own
	return credentials.NewTLS(config), nil
}

type methodName struct {
	Service string `json:"service"`
	Method  string `json:"method"`
}

// serviceConfig returns the gRPC service config: unary calls are sent again while the registry is unavailable, which is
// safe by their request_id. Streams are not: gRPC would replay the part it still buffers; they go on where they stood.
func serviceConfig() string {
	var retried []methodName
	for service := range services() {
		for at := range service.Methods().Len() {
			method := service.Methods().Get(at)
			if !method.IsStreamingClient() && !method.IsStreamingServer() {
				retried = append(retried, methodName{string(service.FullName()), string(method.Name())})
			}
		}
	}
	config, err := json.Marshal(map[string]any{
		"loadBalancingConfig": []any{map[string]any{"round_robin": map[string]any{}}},
		"methodConfig": []any{map[string]any{
			"name": retried,
			"retryPolicy": map[string]any{
				"maxAttempts":          5,
				"initialBackoff":       "0.1s",
				"maxBackoff":           "2s",
				"backoffMultiplier":    2,
				"retryableStatusCodes": []string{"UNAVAILABLE"},
			},
		}},
	})
	if err != nil {
		// Maps and strings always encode.
		panic(err)
	}
	return string(config)
}

// services yields every service of the contract.
func services() func(yield func(protoreflect.ServiceDescriptor) bool) {
	return func(yield func(protoreflect.ServiceDescriptor) bool) {
		contract := pb.File_registry_grpc_v1_server_proto.Package()
		protoregistry.GlobalFiles.RangeFilesByPackage(contract, func(file protoreflect.FileDescriptor) bool {
			for at := range file.Services().Len() {
				if !yield(file.Services().Get(at)) {
					return false
				}
			}
			return true
		})
	}
}
