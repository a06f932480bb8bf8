package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** The caller lacks a permission. */
public final class PermissionDeniedException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public PermissionDeniedException(String message) {
    this(Failure.of(Status.Code.PERMISSION_DENIED, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public PermissionDeniedException(Failure failure) {
    super(failure);
  }
}
