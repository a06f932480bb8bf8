package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** No answer in time; a mutation may have happened. */
public final class DeadlineExceededException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public DeadlineExceededException(String message) {
    this(Failure.of(Status.Code.DEADLINE_EXCEEDED, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public DeadlineExceededException(Failure failure) {
    super(failure);
  }
}
