package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** A quota, rate or storage limit. */
public final class ResourceExhaustedException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public ResourceExhaustedException(String message) {
    this(Failure.of(Status.Code.RESOURCE_EXHAUSTED, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public ResourceExhaustedException(Failure failure) {
    super(failure);
  }
}
