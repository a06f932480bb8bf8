package dev.registrygrpc.client;

import com.google.protobuf.Any;
import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import io.grpc.BindableService;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerBuilder;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;

/** A gRPC server in this process that does what a test says, for what a real registry does only on bad days. */
final class FakeServer implements AutoCloseable {
  static final Metadata.Key<String> REVISION = key("x-registry-revision");
  static final Metadata.Key<String> MIN_REVISION = key("x-registry-min-revision");
  static final Metadata.Key<String> CALL_ID = key("x-request-id");
  static final Metadata.Key<String> AUTHORIZATION = key("authorization");

  /** Headers of every call, as they came. */
  final List<Metadata> headers = new CopyOnWriteArrayList<>();

  /** What ends every call that ends well; nothing by default. */
  volatile long revision;

  private final Server server;
  private final int port;

  FakeServer(BindableService... services) throws IOException {
    this(InsecureServerCredentials.create(), services);
  }

  FakeServer(ServerCredentials credentials, BindableService... services) throws IOException {
    this(0, credentials, services);
  }

  FakeServer(int port, BindableService... services) throws IOException {
    this(port, InsecureServerCredentials.create(), services);
  }

  private FakeServer(int wanted, ServerCredentials credentials, BindableService... services) throws IOException {
    ServerBuilder<?> builder = Grpc.newServerBuilderForPort(wanted, credentials).intercept(new Recorder());
    builder.maxInboundMessageSize(16 << 20);
    for (BindableService service : services) {
      builder.addService(service);
    }
    server = builder.build().start();
    port = server.getPort();
  }

  int port() {
    return port;
  }

  RegistryBuilder client() {
    return Registry.builder().environment(Map.of()).endpoint("127.0.0.1:" + port).token("secret");
  }

  @Override
  public void close() {
    server.shutdownNow();
    try {
      server.awaitTermination(10, TimeUnit.SECONDS);
    } catch (InterruptedException interrupt) {
      Thread.currentThread().interrupt();
    }
  }

  /** An error as the registry makes them. */
  static StatusRuntimeException error(Status.Code code, String reason, Map<String, String> metadata, Message... more) {
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder()
            .setCode(code.value())
            .setMessage("made by a test")
            .addDetails(
                Any.pack(
                    ErrorInfo.newBuilder()
                        .setDomain("registry-grpc")
                        .setReason(reason)
                        .putAllMetadata(metadata)
                        .build()));
    for (Message each : more) {
      status.addDetails(Any.pack(each));
    }
    return StatusProto.toStatusRuntimeException(status.build());
  }

  static StatusRuntimeException error(Status.Code code, String reason) {
    return error(code, reason, Map.of());
  }

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }

  private final class Recorder implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata given, ServerCallHandler<Q, A> next) {
      headers.add(given);
      return next.startCall(
          new SimpleForwardingServerCall<>(call) {
            @Override
            public void close(Status status, Metadata trailers) {
              if (revision > 0) {
                trailers.put(REVISION, Long.toString(revision));
              }
              super.close(status, trailers);
            }
          },
          given);
    }
  }
}
