package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.IntegrityException;
import dev.registrygrpc.client.errors.RegistryException;
import dev.registrygrpc.client.errors.UnavailableException;
import dev.registrygrpc.v1.Artifact;
import dev.registrygrpc.v1.ArtifactServiceGrpc;
import dev.registrygrpc.v1.ReadArtifactRequest;
import dev.registrygrpc.v1.ReadArtifactResponse;
import io.grpc.CallOptions;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;

/** The bytes of one file or of a range of it: in order, checked chunk by chunk, going on where a cut stream ended. */
final class ArtifactChunks implements AutoCloseable {
  /** Of one stream; one that got bytes by then simply goes on in the next. */
  private static final long CALL_TIMEOUT_S = 300;

  /** Without a message a stream counts as dead: also one that is dead only on the other side of a proxy. */
  private static final Duration STALL = Duration.ofSeconds(60);

  private final Connection connection;
  private final Artifact artifact;
  private final long end;
  private final Patience patience;
  private long offset;
  private StreamCall<ReadArtifactRequest, ReadArtifactResponse> call;

  ArtifactChunks(Connection connection, Artifact artifact, long offset, long end) {
    this.connection = connection;
    this.artifact = artifact;
    this.offset = offset;
    this.end = end;
    this.patience = new Patience(connection);
  }

  /** Where the next chunk begins. */
  long offset() {
    return offset;
  }

  /**
   * The next bytes; null at the end. The SHA-256 of the whole is the caller's job.
   *
   * @throws RegistryException of the class that fits; IntegrityException when what comes is not what was listed
   */
  byte[] next() {
    while (offset < end) {
      long wished = connection.revisions().written();
      try {
        byte[] content = receive();
        if (content.length > 0) {
          offset += content.length;
          patience.moved();
          return content;
        }
      } catch (RegistryException error) {
        close();
        if (!connection.revisions().forgets(error, wished)) {
          patience.await(error);
        }
      }
    }
    close();
    return null;
  }

  private byte[] receive() {
    if (call == null) {
      call = open();
    }
    ReadArtifactResponse answer = call.next(STALL);
    if (answer == null) {
      throw new UnavailableException(
          "the stream of " + artifact.getPath() + " ended at byte " + offset + " of " + end);
    }
    if (answer.hasArtifact() && !answer.getArtifact().getDigest().equals(artifact.getDigest())) {
      throw new IntegrityException(artifact.getPath() + " was replaced while it was read; pull again");
    }
    byte[] content = answer.getChunk().getContent().toByteArray();
    if (content.length > 0) {
      check(answer, content);
    }
    return content;
  }

  private void check(ReadArtifactResponse answer, byte[] content) {
    if (answer.getOffset() != offset || content.length > end - offset) {
      throw new IntegrityException(
          "the server sent byte " + answer.getOffset() + " of " + artifact.getPath() + " for byte " + offset);
    }
    CRC32C checksum = new CRC32C();
    checksum.update(content, 0, content.length);
    if (answer.getChunk().hasCrc32C() && (int) checksum.getValue() != answer.getChunk().getCrc32C()) {
      // Damaged on the way; asked for again from here.
      throw new UnavailableException("a chunk of " + artifact.getPath() + " at byte " + offset + " arrived damaged");
    }
  }

  private StreamCall<ReadArtifactRequest, ReadArtifactResponse> open() {
    ReadArtifactRequest request =
        ReadArtifactRequest.newBuilder()
            .setName(artifact.getName())
            .setReadOffset(offset)
            .setReadLimit(end - offset)
            .setSha256(artifact.getDigest().getSha256())
            .build();
    StreamCall<ReadArtifactRequest, ReadArtifactResponse> opened =
        new StreamCall<>(
            connection.channel(connection.settings().timeout()),
            ArtifactServiceGrpc.getReadArtifactMethod(),
            CallOptions.DEFAULT.withDeadlineAfter(CALL_TIMEOUT_S, TimeUnit.SECONDS));
    opened.ask(request);
    return opened;
  }

  /** Ends the stream; a later {@link #next} would open another. */
  @Override
  public void close() {
    if (call != null) {
      call.close();
      call = null;
    }
  }
}
