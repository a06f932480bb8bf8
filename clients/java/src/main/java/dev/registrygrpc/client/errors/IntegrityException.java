package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** Bytes are not what their digest says: stored, sent, received or on this disk. */
public final class IntegrityException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public IntegrityException(String message) {
    this(Failure.of(Status.Code.DATA_LOSS, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public IntegrityException(Failure failure) {
    super(failure);
  }
}
