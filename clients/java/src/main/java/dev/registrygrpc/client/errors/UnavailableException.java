package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** The registry, its database or its store does not answer; trying again later may help. */
public final class UnavailableException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public UnavailableException(String message) {
    this(Failure.of(Status.Code.UNAVAILABLE, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public UnavailableException(Failure failure) {
    super(failure);
  }
}
