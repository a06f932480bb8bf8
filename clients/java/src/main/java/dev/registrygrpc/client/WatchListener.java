package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.RegistryException;

/**
 * Is told of changes, one after the other, by one thread. A listener that takes long holds up the stream, not memory.
 */
@FunctionalInterface
public interface WatchListener {
  /**
   * Something changed.
   *
   * @param change what
   */
  void onChange(Change change);

  /**
   * The watch ended by itself: what it met does not pass. Nothing more comes. Told to the thread's handler of uncaught
   * exceptions unless this is overridden.
   *
   * @param error why
   */
  default void onError(RegistryException error) {
    Thread current = Thread.currentThread();
    current.getUncaughtExceptionHandler().uncaughtException(current, error);
  }

  /** The watch was closed. Nothing more comes. */
  default void onClosed() {}
}
