package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** The request makes no sense whatever the state; also thrown before anything is sent. */
public class InvalidArgumentException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public InvalidArgumentException(String message) {
    this(Failure.of(Status.Code.INVALID_ARGUMENT, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public InvalidArgumentException(Failure failure) {
    super(failure);
  }
}
