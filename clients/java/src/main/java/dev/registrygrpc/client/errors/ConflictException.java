package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** Someone else was first: read again and decide. */
public final class ConflictException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public ConflictException(String message) {
    this(Failure.of(Status.Code.ABORTED, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public ConflictException(Failure failure) {
    super(failure);
  }
}
