package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** This server does not do that. */
public final class FeatureDisabledException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public FeatureDisabledException(String message) {
    this(Failure.of(Status.Code.UNIMPLEMENTED, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public FeatureDisabledException(Failure failure) {
    super(failure);
  }
}
