package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.CancelledException;
import dev.registrygrpc.client.errors.DeadlineExceededException;
import dev.registrygrpc.client.errors.InternalException;
import dev.registrygrpc.client.errors.RegistryException;
import dev.registrygrpc.client.errors.ResourceExhaustedException;
import dev.registrygrpc.client.errors.UnavailableException;
import io.grpc.Context;
import java.time.Duration;
import java.util.Set;

/** When a cut transfer goes on, and how long it waits before it does. Counts attempts since bytes last moved. */
final class Patience {
  /** Without progress; together about 45 s, longer than a replica takes to be replaced. */
  private static final int MAX_ATTEMPTS = 8;

  private static final Duration FIRST_PAUSE = Duration.ofMillis(300);
  private static final Duration MAX_PAUSE = Duration.ofSeconds(10);
  private static final Set<String> TRANSIENT_REASONS =
      Set.of("TRANSACTION_CONFLICT", "OFFSET_AHEAD", "CHUNK_CHECKSUM", "RATE_LIMITED", "TOO_MANY_STREAMS");

  private final Connection connection;
  private int attempts;

  Patience(Connection connection) {
    this.connection = connection;
  }

  /** Bytes moved: start counting anew. */
  void moved() {
    attempts = 0;
  }

  /** Sleeps before the next attempt; throws the error itself when it is not transient or there were too many. */
  void await(RegistryException error) {
    attempts++;
    // A stream is ended with its token. Its next attempt takes the one a rotated file has by now; once, because a token
    // that was merely given ends for good.
    boolean isRenewed = error.reason().equals("TOKEN_EXPIRED") && attempts == 1;
    if (isStopped(connection) || !(isTransient(error) || isRenewed) || attempts > MAX_ATTEMPTS) {
      throw error;
    }
    Duration pause = FIRST_PAUSE.multipliedBy(1L << (attempts - 1));
    Connection.sleep(Connection.spread(longest(error, pause.compareTo(MAX_PAUSE) < 0 ? pause : MAX_PAUSE)));
    connection.reconnect();
  }

  static Duration longest(RegistryException error, Duration pause) {
    Duration asked = error.retryAfter().orElse(Duration.ZERO);
    return asked.compareTo(pause) > 0 ? asked : pause;
  }

  /** Whether it was ended on this side. */
  static boolean isStopped(Connection connection) {
    return connection.isClosed() || Thread.currentThread().isInterrupted() || Context.current().isCancelled();
  }

  /** Whether going on from what has arrived may help. */
  static boolean isTransient(RegistryException error) {
    if (TRANSIENT_REASONS.contains(error.reason())) {
      return true;
    }
    return !(error instanceof ResourceExhaustedException)
        && (error instanceof UnavailableException
            || error instanceof InternalException
            || error instanceof DeadlineExceededException
            || error instanceof CancelledException);
  }
}
