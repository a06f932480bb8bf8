package dev.registrygrpc.client.errors;

import io.grpc.Status;
import java.io.Serializable;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What is known of a failed call.
 *
 * @param code the gRPC status
 * @param message for people; never match on it
 * @param reason a name of the contract's {@code ErrorReason} without its prefix; empty when it did not come from a
 *     registry
 * @param metadata facts that go with the reason
 * @param violations what stands in the way, one by one
 * @param retryAfterOrNull how long the server asks to wait; null when it does not
 * @param requestId under which the server knows the call; may be empty
 */
public record Failure(
    Status.Code code,
    String message,
    String reason,
    Map<String, String> metadata,
    List<Violation> violations,
    Duration retryAfterOrNull,
    String requestId)
    implements Serializable {

  /**
   * Copies what could change.
   *
   * @param code the gRPC status
   * @param message for people
   * @param reason of the contract
   * @param metadata facts that go with the reason
   * @param violations what stands in the way
   * @param retryAfterOrNull how long the server asks to wait
   * @param requestId of the call
   */
  public Failure {
    metadata = Map.copyOf(metadata);
    violations = List.copyOf(violations);
  }

  /**
   * A failure found on this side.
   *
   * @param code the status it amounts to
   * @param message what was wrong
   * @return the failure
   */
  public static Failure of(Status.Code code, String message) {
    return new Failure(code, message, "", Map.of(), List.of(), null, "");
  }

  /**
   * The same with a reason of the contract.
   *
   * @param name of the reason
   * @param facts that go with it
   * @return the failure
   */
  public Failure because(String name, Map<String, String> facts) {
    return new Failure(code, message, name, facts, violations, retryAfterOrNull, requestId);
  }

  /**
   * How long the server asks to wait.
   *
   * @return the time; empty when it does not ask
   */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfterOrNull);
  }
}
