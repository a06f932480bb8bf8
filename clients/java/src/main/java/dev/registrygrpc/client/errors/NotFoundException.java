package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** No such resource, or the caller may not know of it. */
public final class NotFoundException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public NotFoundException(String message) {
    this(Failure.of(Status.Code.NOT_FOUND, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public NotFoundException(Failure failure) {
    super(failure);
  }
}
