package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.DeadlineExceededException;
import dev.registrygrpc.client.errors.Failures;
import dev.registrygrpc.client.errors.RegistryException;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.UUID;
import java.util.function.BooleanSupplier;

/**
 * One streaming call, for threads that block: messages are taken and sent one by one, so that never more than one or
 * two are in memory. An interrupt ends it.
 */
final class StreamCall<Q, A> implements AutoCloseable {
  private final ClientCall<Q, A> call;
  private final String callId = UUID.randomUUID().toString();
  private final Object lock = new Object();
  private final Queue<A> came = new ArrayDeque<>();
  private Status status;
  private Metadata trailers;

  /** Opens it; nothing is asked for yet. */
  StreamCall(Channel channel, MethodDescriptor<Q, A> method, CallOptions options) {
    call = channel.newCall(method, options.withOption(CallInterceptor.CALL_ID, callId));
    call.start(new Events(), new Metadata());
    call.request(1);
  }

  /** Sends the only request of a call whose answers are a stream. */
  void ask(Q request) {
    call.sendMessage(request);
    call.halfClose();
  }

  /**
   * Waits until the transport has room, then sends.
   *
   * @return false when the server ended the call meanwhile: what it has to say is read with {@link #next}
   * @throws DeadlineExceededException when there is no room for so long
   */
  boolean send(Q message, Duration stall) {
    synchronized (lock) {
      await(() -> call.isReady() || status != null, stall);
      if (status != null) {
        return false;
      }
    }
    call.sendMessage(message);
    return true;
  }

  /** Nothing more is sent. */
  void sendEnd() {
    call.halfClose();
  }

  /**
   * The next answer; null at the end of a stream that ended well.
   *
   * @param stall how long to wait for it; null for as long as it takes
   * @throws RegistryException when it did not end well, or nothing came for so long
   */
  A next(Duration stall) {
    A found;
    synchronized (lock) {
      await(() -> !came.isEmpty() || status != null, stall);
      found = came.poll();
      if (found == null && !status.isOk()) {
        throw Failures.of(status, trailers, callId);
      }
    }
    if (found != null) {
      call.request(1);
    }
    return found;
  }

  private void await(BooleanSupplier condition, Duration stall) {
    if (Thread.currentThread().isInterrupted()) {
      // Also where there is nothing to wait for.
      throw FileFaults.interrupted();
    }
    long deadline = stall == null ? 0 : System.nanoTime() + stall.toNanos();
    while (!condition.getAsBoolean()) {
      long leftMs = stall == null ? 0 : (deadline - System.nanoTime()) / 1_000_000;
      if (stall != null && leftMs <= 0) {
        throw new DeadlineExceededException("nothing moved for " + stall.toSeconds() + " s");
      }
      try {
        lock.wait(leftMs);
      } catch (InterruptedException interrupt) {
        throw FileFaults.interrupted();
      }
    }
  }

  /** Ends it, if it has not ended. From any thread. */
  @Override
  public void close() {
    call.cancel("closed by the client", null);
  }

  private final class Events extends ClientCall.Listener<A> {
    @Override
    public void onMessage(A message) {
      synchronized (lock) {
        came.add(message);
        lock.notifyAll();
      }
    }

    @Override
    public void onReady() {
      synchronized (lock) {
        lock.notifyAll();
      }
    }

    @Override
    public void onClose(Status ended, Metadata with) {
      synchronized (lock) {
        status = ended;
        trailers = with;
        lock.notifyAll();
      }
    }
  }
}
