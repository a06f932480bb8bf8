package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.ConflictException;
import dev.registrygrpc.client.errors.DeadlineExceededException;
import dev.registrygrpc.client.errors.Failure;
import dev.registrygrpc.client.errors.FailedPreconditionException;
import dev.registrygrpc.client.errors.RegistryException;
import dev.registrygrpc.v1.Artifact;
import dev.registrygrpc.v1.ArtifactServiceGrpc;
import dev.registrygrpc.v1.GetUploadRequest;
import dev.registrygrpc.v1.StartUploadRequest;
import dev.registrygrpc.v1.Upload;
import dev.registrygrpc.v1.Upload.State;
import io.grpc.Status;
import java.time.Duration;
import java.util.Map;
import java.util.Set;

/** One file on its way into a draft, going on at the persisted offset whatever cuts the stream. */
final class FileUpload {
  /** Then a new stream asks: it gets the outcome of a completion that is alive, and takes over one that died. */
  private static final Duration TAKE_OVER_AFTER = Duration.ofSeconds(10);

  private static final Duration POLL = Duration.ofMillis(200);
  private static final Set<String> GONE = Set.of("UPLOAD_NOT_FOUND", "UPLOAD_CLOSED");

  private final Connection connection;
  private final String version;
  private final LocalFile.Hashed file;
  private final Progress.Listener progress;

  FileUpload(Connection connection, String version, LocalFile.Hashed file, Progress.Listener progress) {
    this.connection = connection;
    this.version = version;
    this.file = file;
    this.progress = progress;
  }

  /** Sends the file; {@code open} is an upload of it that was begun earlier, or null. */
  Artifact run(Upload open) {
    Patience patience = new Patience(connection);
    Upload upload = open == null ? start() : open;
    long completingSince = System.nanoTime();
    while (upload.getState() != State.STATE_COMMITTED) {
      long before = upload.getPersistedSize();
      if (upload.getState() != State.STATE_FINALIZING) {
        completingSince = System.nanoTime();
      }
      boolean takeOver = System.nanoTime() - completingSince > TAKE_OVER_AFTER.toNanos();
      try {
        upload = step(upload, takeOver);
      } catch (RegistryException error) {
        upload = recovered(error, upload, patience);
      }
      if (upload.getPersistedSize() > before) {
        patience.moved();
      }
    }
    tell(file.digest().sizeBytes());
    return upload.getArtifact();
  }

  private Upload start() {
    StartUploadRequest request =
        StartUploadRequest.newBuilder()
            .setParent(version)
            .setPath(file.digest().path())
            .setSizeBytes(file.digest().sizeBytes())
            .setSha256(file.digest().sha256())
            .build();
    return connection.call(ArtifactServiceGrpc.getStartUploadMethod(), request, connection.settings().timeout());
  }

  /** The upload after one more stream, or after one more look while the server completes it. */
  private Upload step(Upload upload, boolean takeOver) {
    if (upload.getState() == State.STATE_FINALIZING && !takeOver) {
      Connection.sleep(POLL);
      return get(upload.getName());
    }
    if (upload.getState() != State.STATE_ACTIVE && upload.getState() != State.STATE_FINALIZING) {
      String why = upload.getFailure().isEmpty() ? "start the push again" : upload.getFailure();
      String state = upload.getState().name().replaceFirst("^STATE_", "");
      String message = "the upload of " + file.digest().path() + " is " + state + ": " + why;
      throw new FailedPreconditionException(
          Failure.of(Status.Code.FAILED_PRECONDITION, message).because("UPLOAD_CLOSED", Map.of()));
    }
    Upload answer = new UploadStream(connection, file, upload, this::tell).run();
    if (answer.getState() == State.STATE_ACTIVE) {
      throw new DeadlineExceededException("the server closed the upload of " + file.digest().path() + " early");
    }
    return answer;
  }

  private Upload recovered(RegistryException error, Upload upload, Patience patience) {
    if (isGone(error)) {
      // It expired or was cancelled; another one can be started.
      patience.await(
          new DeadlineExceededException(
              Failure.of(Status.Code.DEADLINE_EXCEEDED, error.getMessage()).because(error.reason(), Map.of())));
      return start();
    }
    patience.await(explained(error));
    return look(upload, patience);
  }

  private Upload look(Upload upload, Patience patience) {
    while (true) {
      try {
        return get(upload.getName());
      } catch (RegistryException error) {
        if (isGone(error)) {
          return start();
        }
        patience.await(error);
      }
    }
  }

  private Upload get(String name) {
    GetUploadRequest request = GetUploadRequest.newBuilder().setName(name).build();
    return connection.call(ArtifactServiceGrpc.getGetUploadMethod(), request, connection.settings().timeout());
  }

  private static boolean isGone(RegistryException error) {
    return GONE.contains(error.reason());
  }

  private RegistryException explained(RegistryException error) {
    if (error.reason().equals("DIGEST_MISMATCH")) {
      return file.local().changed();
    }
    if (error.reason().equals("UPLOAD_SUPERSEDED")) {
      String message =
          "another process pushes " + file.digest().path() + " of the same version; let one of them finish";
      return new ConflictException(
          Failure.of(Status.Code.ABORTED, message).because(error.reason(), error.metadata()));
    }
    return error;
  }

  private void tell(long doneBytes) {
    progress.on(new Progress(Progress.Phase.UPLOAD, file.digest().path(), doneBytes, file.digest().sizeBytes()));
  }
}
