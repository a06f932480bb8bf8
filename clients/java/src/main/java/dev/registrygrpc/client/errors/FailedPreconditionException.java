package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** The present state does not allow the call. */
public final class FailedPreconditionException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public FailedPreconditionException(String message) {
    this(Failure.of(Status.Code.FAILED_PRECONDITION, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public FailedPreconditionException(Failure failure) {
    super(failure);
  }
}
