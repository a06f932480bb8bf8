package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** No token, or one that does not count. */
public final class UnauthenticatedException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public UnauthenticatedException(String message) {
    this(Failure.of(Status.Code.UNAUTHENTICATED, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public UnauthenticatedException(Failure failure) {
    super(failure);
  }
}
