package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** The id, label or alias is taken. */
public final class AlreadyExistsException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public AlreadyExistsException(String message) {
    this(Failure.of(Status.Code.ALREADY_EXISTS, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public AlreadyExistsException(Failure failure) {
    super(failure);
  }
}
