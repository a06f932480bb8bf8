package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** An offset, size or revision lies outside of what there is. */
public final class OutOfRangeException extends InvalidArgumentException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public OutOfRangeException(String message) {
    this(Failure.of(Status.Code.OUT_OF_RANGE, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public OutOfRangeException(Failure failure) {
    super(failure);
  }
}
