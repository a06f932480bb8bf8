package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.CancelledException;
import dev.registrygrpc.client.errors.ConflictException;
import dev.registrygrpc.client.errors.Failures;
import dev.registrygrpc.client.errors.OutOfRangeException;
import dev.registrygrpc.client.errors.RegistryException;
import dev.registrygrpc.client.errors.ResourceExhaustedException;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.time.Duration;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** One channel, what is remembered between its calls, and unary calls with typed errors. Any number of threads. */
final class Connection implements AutoCloseable {
  private static final int MAX_ATTEMPTS = 5;

  /** Other threads may write between a refusal and the next attempt. */
  private static final int MAX_FORGETS = 4;

  private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
  private static final Set<String> REPEATABLE = Set.of("TRANSACTION_CONFLICT", "RATE_LIMITED");

  private final Settings settings;
  private final Revisions revisions;
  private final ManagedChannel transport;
  private final Future<?> reconnecting;
  /** What was opened from here and is still open. */
  private final Set<Connection> others = ConcurrentHashMap.newKeySet();

  private volatile boolean closed;

  Connection(Settings settings) {
    this(settings, new Revisions());
  }

  private Connection(Settings settings, Revisions revisions) {
    this.settings = settings;
    this.revisions = revisions;
    this.transport = Channels.open(settings);
    this.reconnecting = Reconnects.of(transport);
  }

  /**
   * Another channel to the same place, which knows of the same writes and is closed with this one. For streams that
   * their reader may leave half read: what it does not take fills the window of the whole connection, and would hold up
   * every other call on it.
   */
  Connection another() {
    requireOpen();
    others.removeIf(Connection::isClosed);
    Connection made = new Connection(settings, revisions);
    others.add(made);
    if (closed) {
      // Closed meanwhile, perhaps without having seen this one.
      made.close();
    }
    return made;
  }

  Settings settings() {
    return settings;
  }

  Revisions revisions() {
    return revisions;
  }

  boolean isClosed() {
    return closed;
  }

  /** The channel with all that calls need; unary calls without a deadline get this one. */
  Channel channel(Duration timeout) {
    return ClientInterceptors.intercept(transport, new CallInterceptor(settings.tokens(), revisions, timeout));
  }

  /** Calls still open are cancelled, also on connections that were opened from here. */
  @Override
  public void close() {
    closed = true;
    others.forEach(Connection::close);
    reconnecting.cancel(false);
    transport.shutdownNow();
  }

  /** Try to connect now; gRPC would wait up to two minutes. */
  void reconnect() {
    transport.resetConnectBackoff();
  }

  /**
   * The answer to a unary call. A mutation gets a request_id so that it can be sent again safely; a read is at least as
   * fresh as the last write through this connection.
   *
   * @throws RegistryException of the class that fits
   */
  <Q, A> A call(MethodDescriptor<Q, A> method, Q request, Duration timeout) {
    for (int attempt = 1; ; attempt++) {
      long wished = Services.isRead(method) ? revisions.written() : 0;
      try {
        return repeated(method, request, timeout);
      } catch (OutOfRangeException error) {
        if (attempt == MAX_FORGETS || !revisions.forgets(error, wished)) {
          throw error;
        }
      }
    }
  }

  private <Q, A> A repeated(MethodDescriptor<Q, A> method, Q given, Duration timeout) {
    Q request = Services.identified(given);
    Channel channel = channel(timeout);
    long deadline = System.nanoTime() + timeout.toNanos();
    String callId = UUID.randomUUID().toString();
    for (int attempt = 1; ; attempt++) {
      requireOpen();
      long left = Math.max(TimeUnit.MILLISECONDS.toNanos(1), deadline - System.nanoTime());
      CallOptions options =
          CallOptions.DEFAULT
              .withDeadlineAfter(left, TimeUnit.NANOSECONDS)
              .withOption(CallInterceptor.CALL_ID, callId);
      try {
        return ClientCalls.blockingUnaryCall(channel, method, options, request);
      } catch (StatusRuntimeException thrown) {
        RegistryException error = Failures.of(thrown.getStatus(), thrown.getTrailers(), callId);
        // gRPC retries what it calls UNAVAILABLE itself; of a connection that was cut it says something else.
        boolean isCut = thrown.getStatus().getCode() != error.code();
        Duration pause = pause(error, attempt, isCut);
        boolean isLate = pause != null && System.nanoTime() + pause.toNanos() >= deadline;
        if (pause == null || isLate || attempt == MAX_ATTEMPTS) {
          throw error;
        }
        sleep(pause);
      }
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new CancelledException("this Registry is closed; make another");
    }
  }

  /** How long to wait before the call is sent again; null when it must not be. */
  private Duration pause(RegistryException error, int attempt, boolean isCut) {
    boolean isOurs = closed || Thread.currentThread().isInterrupted() || Context.current().isCancelled();
    Duration backoff = FIRST_PAUSE.multipliedBy(1L << (attempt - 1));
    if (error instanceof CancelledException || isCut) {
      // A call that comes in the very moment a server stops is refused by gRPC in this way. Another replica answers, or
      // this one when it is back.
      return isOurs ? null : spread(backoff);
    }
    boolean mayPass = error instanceof ConflictException || error instanceof ResourceExhaustedException;
    return mayPass && REPEATABLE.contains(error.reason()) ? spread(error.retryAfter().orElse(backoff)) : null;
  }

  /** Clients that were cut together do not come back together. */
  static Duration spread(Duration pause) {
    return Duration.ofNanos((long) (pause.toNanos() * ThreadLocalRandom.current().nextDouble(0.8, 1.2)));
  }

  /** Waits; an interrupt ends that. */
  static void sleep(Duration pause) {
    try {
      TimeUnit.NANOSECONDS.sleep(pause.toNanos());
    } catch (InterruptedException interrupt) {
      throw FileFaults.interrupted();
    }
  }
}
