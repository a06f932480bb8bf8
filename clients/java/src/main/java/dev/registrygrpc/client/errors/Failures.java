package dev.registrygrpc.client.errors;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.PreconditionFailure;
import com.google.rpc.QuotaFailure;
import com.google.rpc.RequestInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** From a gRPC status to an exception: the one place that reads {@code google.rpc} details. */
public final class Failures {
  /** Whose reasons count: those of proxies between are not ours. */
  public static final String DOMAIN = "registry-grpc";

  private static final Metadata.Key<String> REQUEST_ID =
      Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);

  /** Where the status alone would say something else. */
  private static final Set<String> OF_BYTES = Set.of("DIGEST_MISMATCH", "CHUNK_CHECKSUM", "ARTIFACT_CORRUPT");

  private Failures() {}

  /**
   * The exception for what a generated stub threw.
   *
   * @param thrown by the stub
   * @return the typed exception, with {@code thrown} as its cause
   */
  public static RegistryException of(StatusRuntimeException thrown) {
    RegistryException made = of(thrown.getStatus(), thrown.getTrailers(), "");
    made.initCause(thrown);
    return made;
  }

  /**
   * The exception for the end of a call.
   *
   * @param status how it ended
   * @param trailers what came with the status; may be null
   * @param callId what the call was sent with
   * @return the typed exception
   */
  public static RegistryException of(Status status, Metadata trailers, String callId) {
    Metadata known = trailers == null ? new Metadata() : trailers;
    String told = known.get(REQUEST_ID);
    String message = status.getDescription() == null ? "" : status.getDescription();
    com.google.rpc.Status details = StatusProto.fromStatusAndTrailers(status, known);
    RegistryException made =
        build(codeOf(status), message, details.getDetailsList(), told == null ? callId : told);
    if (status.getCause() != null) {
      made.initCause(status.getCause());
    }
    return made;
  }

  /** gRPC for Java says UNKNOWN when a connection goes away in the very moment a stream is opened on it. */
  private static Status.Code codeOf(Status status) {
    boolean isCut = false;
    for (Throwable cause = status.getCause(); cause != null; cause = cause.getCause()) {
      isCut = isCut || cause instanceof IOException;
    }
    return isCut && status.getCode() == Status.Code.UNKNOWN ? Status.Code.UNAVAILABLE : status.getCode();
  }

  /**
   * The exception for one error inside a batch answer.
   *
   * @param status the error
   * @return the typed exception
   */
  public static RegistryException of(com.google.rpc.Status status) {
    Status.Code code = Status.fromCodeValue(status.getCode()).getCode();
    return build(code, status.getMessage(), status.getDetailsList(), "");
  }

  private static RegistryException build(Status.Code code, String message, List<Any> details, String callId) {
    String reason = "";
    Map<String, String> metadata = Map.of();
    Duration retryAfter = null;
    String requestId = callId;
    List<Violation> violations = new ArrayList<>();
    for (Any detail : details) {
      try {
        if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          if (info.getDomain().equals(DOMAIN)) {
            reason = info.getReason();
            metadata = info.getMetadataMap();
          }
        } else if (detail.is(RetryInfo.class)) {
          var delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        } else if (detail.is(RequestInfo.class)) {
          requestId = detail.unpack(RequestInfo.class).getRequestId();
        } else {
          violations.addAll(violations(detail));
        }
      } catch (InvalidProtocolBufferException damaged) {
        // What can be read of an error is told; the rest must not hide it.
        continue;
      }
    }
    return typed(new Failure(code, message, reason, metadata, violations, retryAfter, requestId));
  }

  private static List<Violation> violations(Any detail) throws InvalidProtocolBufferException {
    if (detail.is(BadRequest.class)) {
      return detail.unpack(BadRequest.class).getFieldViolationsList().stream()
          .map(each -> new Violation(each.getField(), each.getDescription()))
          .toList();
    }
    if (detail.is(PreconditionFailure.class)) {
      return detail.unpack(PreconditionFailure.class).getViolationsList().stream()
          .map(each -> new Violation(each.getSubject(), each.getDescription()))
          .toList();
    }
    if (detail.is(QuotaFailure.class)) {
      return detail.unpack(QuotaFailure.class).getViolationsList().stream()
          .map(each -> new Violation(each.getSubject(), each.getDescription()))
          .toList();
    }
    return List.of();
  }

  /**
   * The exception of the class that fits.
   *
   * @param failure what is known
   * @return the typed exception
   */
  public static RegistryException typed(Failure failure) {
    if (OF_BYTES.contains(failure.reason())) {
      return new IntegrityException(failure);
    }
    return switch (failure.code()) {
      case NOT_FOUND -> new NotFoundException(failure);
      case ALREADY_EXISTS -> new AlreadyExistsException(failure);
      case INVALID_ARGUMENT -> new InvalidArgumentException(failure);
      case OUT_OF_RANGE -> new OutOfRangeException(failure);
      case ABORTED -> new ConflictException(failure);
      case FAILED_PRECONDITION -> new FailedPreconditionException(failure);
      case PERMISSION_DENIED -> new PermissionDeniedException(failure);
      case UNAUTHENTICATED -> new UnauthenticatedException(failure);
      case UNAVAILABLE -> new UnavailableException(failure);
      case RESOURCE_EXHAUSTED -> new ResourceExhaustedException(failure);
      case DEADLINE_EXCEEDED -> new DeadlineExceededException(failure);
      case DATA_LOSS -> new IntegrityException(failure);
      case UNIMPLEMENTED -> new FeatureDisabledException(failure);
      case INTERNAL -> new InternalException(failure);
      case CANCELLED -> new CancelledException(failure);
      default -> new RegistryException(failure);
    };
  }
}
