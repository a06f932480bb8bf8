package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.RegistryException;
import dev.registrygrpc.v1.Event;
import dev.registrygrpc.v1.EventServiceGrpc;
import dev.registrygrpc.v1.WatchRequest;
import dev.registrygrpc.v1.WatchResponse;
import io.grpc.CallOptions;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Changes as they happen, over restarts, cuts and replicas: none missed and none twice. An iterator that waits; it ends
 * when the watch is closed. One reader; {@link #close} from any thread.
 *
 * <p>It has a connection of its own. When the stream breaks it comes back by itself, wherever a replica answers, for as
 * long as that takes. When the registry no longer knows the place (after a restore, or after too long) a watch that was
 * made with the state begins anew with it, which ends with {@code SYNCED}. Made by {@link Registry#watch}.
 */
public final class Watch implements Iterator<Change>, Iterable<Change>, AutoCloseable {
  private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
  private static final Duration MAX_PAUSE = Duration.ofSeconds(5);
  private static final Set<String> BEGIN_ANEW = Set.of("HISTORY_CHANGED", "REVISION_COMPACTED");

  private final Connection connection;
  private final boolean anew;
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Queue<Change> ready = new ArrayDeque<>();

  /** Of a revision that did not come whole yet. */
  private final List<Event> held = new ArrayList<>();

  private WatchRequest request;

  /** Where to stand once what is ready was taken; null when it stands there. */
  private String owed;

  private volatile StreamCall<WatchRequest, WatchResponse> call;
  private volatile String stand;
  private Duration pause = FIRST_PAUSE;

  /** The stream ended with its token, and nothing came since. */
  private boolean isExpired;

  /** Nothing is connected before the first change is asked for. Closes the connection with itself. */
  Watch(Connection connection, WatchRequest request, boolean anew) {
    this.connection = connection;
    this.request = request;
    this.anew = anew;
    this.stand = request.getResumeToken();
  }

  /**
   * Where this watch stands; give it to a new one to go on there.
   *
   * @return the token; empty until the first place is known
   */
  public String resumeToken() {
    return stand;
  }

  @Override
  public Iterator<Change> iterator() {
    return this;
  }

  /**
   * Waits for the next change.
   *
   * @return false when the watch was closed
   * @throws RegistryException when it met what does not pass by itself: NotFound, PermissionDenied, Unauthenticated;
   *     Cancelled when the thread is interrupted
   */
  @Override
  public boolean hasNext() {
    while (ready.isEmpty() && !isClosed()) {
      // Only now: whoever stops in the middle of a revision gets all of it again from a watch made anew.
      settle();
      try {
        take();
      } catch (RegistryException error) {
        if (!isClosed()) {
          survive(error);
        }
      }
    }
    return !isClosed();
  }

  @Override
  public Change next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the watch is closed");
    }
    return ready.remove();
  }

  /**
   * Tells a listener of every change, from a daemon thread of its own, until the watch is closed. Nobody else may read
   * it then.
   *
   * @param listener is told
   * @return this
   */
  public Watch listen(WatchListener listener) {
    Thread reader = new Thread(() -> tell(listener), "mreg-watch");
    reader.setDaemon(true);
    reader.start();
    return this;
  }

  private void tell(WatchListener listener) {
    try (this) {
      while (hasNext()) {
        listener.onChange(next());
      }
      listener.onClosed();
    } catch (RegistryException error) {
      listener.onError(error);
    }
  }

  /** Ends the watch; a reader that waits is let go. */
  @Override
  public void close() {
    closed.countDown();
    StreamCall<WatchRequest, WatchResponse> open = call;
    if (open != null) {
      open.close();
    }
    connection.close();
  }

  private boolean isClosed() {
    return closed.getCount() == 0 || connection.isClosed();
  }

  /** Takes one message; at the end of a stream it drops the stream. */
  private void take() {
    if (call == null) {
      open();
    }
    WatchResponse message = call.next(null);
    if (message == null) {
      drop();
      // A stream that ends well without a word is not asked for again at once, for ever.
      rest(pause);
      return;
    }
    pause = FIRST_PAUSE;
    isExpired = false;
    accept(message);
  }

  private void open() {
    held.clear();
    StreamCall<WatchRequest, WatchResponse> opened =
        new StreamCall<>(
            connection.channel(connection.settings().timeout()),
            EventServiceGrpc.getWatchMethod(),
            CallOptions.DEFAULT.withWaitForReady());
    opened.ask(request);
    call = opened;
    if (isClosed()) {
      // It was closed meanwhile, and found no call to end.
      opened.close();
    }
  }

  private void accept(WatchResponse message) {
    switch (message.getKind()) {
      case KIND_INITIAL_STATE -> message.getEventsList().forEach(event -> add(Change.Kind.STATE, message, event, ""));
      case KIND_INITIAL_STATE_END -> {
        add(Change.Kind.SYNCED, message, null, message.getResumeToken());
        owed = message.getResumeToken();
      }
      case KIND_EVENTS -> {
        held.addAll(message.getEventsList());
        if (!message.getPartial()) {
          release(message);
        }
      }
      default -> {
        if (!message.getResumeToken().isEmpty()) {
          owed = message.getResumeToken();
        }
        if (message.getKind() == WatchResponse.Kind.KIND_CLOSING) {
          drop();
          rest(Duration.ofSeconds(
              message.getReconnectAfter().getSeconds(), message.getReconnectAfter().getNanos()));
        }
      }
    }
  }

  private void release(WatchResponse message) {
    int last = held.size() - 1;
    for (int at = 0; at <= last; at++) {
      add(Change.Kind.EVENT, message, held.get(at), at == last ? message.getResumeToken() : "");
    }
    held.clear();
    owed = message.getResumeToken();
  }

  private void add(Change.Kind kind, WatchResponse message, Event event, String token) {
    Optional<String> resume = token.isEmpty() ? Optional.empty() : Optional.of(token);
    ready.add(new Change(kind, message.getRevision(), Optional.ofNullable(event), resume));
  }

  /** All that came was taken: from now on the watch stands behind it. */
  private void settle() {
    if (owed != null) {
      stand = owed;
      request = request.toBuilder().setSendInitialState(false).setAfterRevision(0).setResumeToken(owed).build();
      owed = null;
    }
  }

  private void drop() {
    if (call != null) {
      call.close();
      call = null;
    }
  }

  /** Waits until it is worth coming back; throws the error when it is not. */
  private void survive(RegistryException error) {
    drop();
    if (BEGIN_ANEW.contains(error.reason()) && anew) {
      request = request.toBuilder().setResumeToken("").setSendInitialState(true).build();
      return;
    }
    // A rotated token file has another by now; a token that was merely given ends for good.
    boolean isRenewed = error.reason().equals("TOKEN_EXPIRED") && !isExpired;
    isExpired = isExpired || isRenewed;
    if (Patience.isStopped(connection) || !(Patience.isTransient(error) || isRenewed)) {
      close();
      throw error;
    }
    rest(Connection.spread(Patience.longest(error, pause)));
    connection.reconnect();
    Duration doubled = pause.multipliedBy(2);
    pause = doubled.compareTo(MAX_PAUSE) < 0 ? doubled : MAX_PAUSE;
  }

  /** Waits, unless it is closed. */
  private void rest(Duration time) {
    try {
      closed.await(time.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException interrupt) {
      throw FileFaults.interrupted();
    }
  }
}
