package dev.registrygrpc.client.errors;

import io.grpc.Status;

/** A defect of the server; report the request id. */
public final class InternalException extends RegistryException {
  private static final long serialVersionUID = 1L;

  /**
   * An error found on this side.
   *
   * @param message what was wrong, and what to do next
   */
  public InternalException(String message) {
    this(Failure.of(Status.Code.INTERNAL, message));
  }

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public InternalException(Failure failure) {
    super(failure);
  }
}
