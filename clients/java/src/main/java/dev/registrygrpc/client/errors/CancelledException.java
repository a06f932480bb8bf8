package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** The call was cancelled: by an interrupt, by closing the registry, or by the server. */
public final class CancelledException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public CancelledException(String message) {
    this(Failure.of(Status.Code.CANCELLED, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public CancelledException(Failure failure) {
    super(failure);
  }
}
