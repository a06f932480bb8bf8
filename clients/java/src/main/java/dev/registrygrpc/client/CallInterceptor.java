package dev.registrygrpc.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/** What every call gets: who asks, an id, a deadline, how fresh a read must be; and what every write leaves behind. */
final class CallInterceptor implements ClientInterceptor {
  /** The id a call is sent with, when the caller has to know it. */
  static final CallOptions.Key<String> CALL_ID = CallOptions.Key.create("mreg-call-id");

  private static final Metadata.Key<String> AUTHORIZATION = key("authorization");
  private static final Metadata.Key<String> REQUEST_ID = key("x-request-id");
  private static final Metadata.Key<String> REVISION = key("x-registry-revision");
  private static final Metadata.Key<String> MIN_REVISION = key("x-registry-min-revision");

  private final TokenSource tokens;
  private final Revisions revisions;
  private final Duration timeout;

  CallInterceptor(TokenSource tokens, Revisions revisions, Duration timeout) {
    this.tokens = tokens;
    this.revisions = revisions;
    this.timeout = timeout;
  }

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions given, Channel next) {
    boolean isUnary = method.getType() == MethodDescriptor.MethodType.UNARY;
    boolean isRead = Services.isRead(method);
    // A stream takes as long as its bytes take; those who read or write it see when it stands still.
    CallOptions options =
        isUnary && given.getDeadline() == null
            ? given.withDeadlineAfter(timeout.toNanos(), TimeUnit.NANOSECONDS)
            : given;
    return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
      @Override
      public void start(Listener<A> listener, Metadata headers) {
        addTo(headers, isRead, options);
        super.start(isRead ? listener : new Noting<>(listener), headers);
      }

      @Override
      public void sendMessage(Q message) {
        super.sendMessage(isUnary ? Services.identified(message) : message);
      }
    };
  }

  private void addTo(Metadata headers, boolean isRead, CallOptions options) {
    String callId = options.getOption(CALL_ID);
    headers.put(REQUEST_ID, callId == null ? UUID.randomUUID().toString() : callId);
    String token = tokens.token();
    if (!token.isEmpty()) {
      headers.put(AUTHORIZATION, "Bearer " + token);
    }
    long written = revisions.written();
    if (isRead && written > 0) {
      headers.put(MIN_REVISION, Long.toString(written));
    }
  }

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }

  /** Remembers the revision a write of ours reached. */
  private final class Noting<A> extends SimpleForwardingClientCallListener<A> {
    Noting(ClientCall.Listener<A> listener) {
      super(listener);
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      String reached = trailers.get(REVISION);
      if (status.isOk() && reached != null && reached.matches("\\d{1,18}")) {
        revisions.note(Long.parseLong(reached));
      }
      super.onClose(status, trailers);
    }
  }
}
