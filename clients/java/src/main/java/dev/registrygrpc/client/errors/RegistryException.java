package dev.registrygrpc.client.errors;

import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A call failed. Match on the class, or on {@link #reason()}; never on the message.
 *
 * <p>Plain {@code RegistryException} is thrown for what has no class of its own.
 */
public class RegistryException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final Failure failure;

  /**
   * An error with all that is known of it.
   *
   * @param failure what is known
   */
  public RegistryException(Failure failure) {
    super(failure.message());
    this.failure = failure;
  }

  /**
   * All that is known.
   *
   * @return the facts
   */
  public final Failure failure() {
    return failure;
  }

  /**
   * The gRPC status.
   *
   * @return the code
   */
  public final Status.Code code() {
    return failure.code();
  }

  /**
   * The contract's reason, a name of {@code ErrorReason} without its prefix.
   *
   * @return the name; empty when the failure did not come from a registry, or was found on this side
   */
  public final String reason() {
    return failure.reason();
  }

  /**
   * Facts that go with the reason.
   *
   * @return them by name
   */
  public final Map<String, String> metadata() {
    return failure.metadata();
  }

  /**
   * What stands in the way, one by one.
   *
   * @return fields, rules or resources
   */
  public final List<Violation> violations() {
    return failure.violations();
  }

  /**
   * How long the server asks to wait before the next attempt.
   *
   * @return the time; empty when it does not ask
   */
  public final Optional<Duration> retryAfter() {
    return failure.retryAfter();
  }

  /**
   * Under which id the server knows the call.
   *
   * @return the id; may be empty
   */
  public final String requestId() {
    return failure.requestId();
  }
}
