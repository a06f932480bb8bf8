package dev.registrygrpc.client;

import dev.registrygrpc.v1.Artifact;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.util.Objects;

/** A file, or a range of it, as it is fetched. Read to the end, the whole of a file is checked by its SHA-256. */
final class ArtifactInputStream extends InputStream {
  private final Connection connection;
  private final ArtifactChunks chunks;
  private final Artifact artifact;
  /** Null for a range: nothing says what its SHA-256 is. */
  private final MessageDigest digest;

  private byte[] content = new byte[0];
  private int at;
  private boolean isClosed;

  /** Closes the connection with itself. */
  ArtifactInputStream(Connection connection, Artifact artifact, long offset, long end) {
    this.connection = connection;
    this.artifact = artifact;
    this.chunks = new ArtifactChunks(connection, artifact, offset, end);
    boolean isWhole = offset == 0 && end == artifact.getDigest().getSizeBytes();
    this.digest = isWhole ? Manifest.sha256() : null;
  }

  @Override
  public int read() throws IOException {
    return fill() ? content[at++] & 0xff : -1;
  }

  @Override
  public int read(byte[] buffer, int from, int length) throws IOException {
    Objects.checkFromIndexSize(from, length, buffer.length);
    if (length == 0) {
      return 0;
    }
    if (!fill()) {
      return -1;
    }
    int count = Math.min(length, content.length - at);
    System.arraycopy(content, at, buffer, from, count);
    at += count;
    return count;
  }

  @Override
  public int available() {
    return content.length - at;
  }

  @Override
  public void close() {
    if (!isClosed) {
      isClosed = true;
      chunks.close();
      connection.close();
    }
  }

  private boolean fill() throws IOException {
    if (isClosed) {
      throw new IOException("the stream of " + artifact.getPath() + " is closed");
    }
    while (content != null && at == content.length) {
      at = 0;
      content = chunks.next();
      if (digest != null && content != null) {
        digest.update(content);
      }
      if (digest != null && content == null) {
        check();
      }
    }
    return content != null;
  }

  private void check() {
    String found = Manifest.hex(digest);
    String wanted = artifact.getDigest().getSha256();
    if (!found.equals(wanted)) {
      throw Pull.mismatch(
          "the bytes of " + artifact.getPath() + " hash to " + found + ", not " + wanted + "; discard what was read",
          wanted,
          found);
    }
  }
}
