package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.Failure;
import dev.registrygrpc.client.errors.IntegrityException;
import dev.registrygrpc.client.errors.InvalidArgumentException;
import io.grpc.Status;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.util.Map;

/**
 * A file on this disk and where it goes; what else is here tells when somebody writes to it, or puts another in its
 * place.
 *
 * @param path inside the version
 * @param source on this disk
 * @param sizeBytes when the push began
 * @param modified when the push began
 * @param key of the file system; null where there is none
 */
record LocalFile(String path, Path source, long sizeBytes, FileTime modified, Object key) {
  private static final int READ_BYTES = 1 << 20;

  /**
   * A local file and what its bytes are.
   *
   * @param local the file
   * @param digest what its bytes are
   */
  record Hashed(LocalFile local, FileDigest digest) {}

  /** The file as it is now. */
  static LocalFile of(String path, Path source) {
    try {
      BasicFileAttributes facts = Files.readAttributes(source, BasicFileAttributes.class);
      if (!facts.isRegularFile()) {
        throw new InvalidArgumentException(source + " is no regular file; only files can be pushed");
      }
      return new LocalFile(path, source, facts.size(), facts.lastModifiedTime(), facts.fileKey());
    } catch (IOException error) {
      throw FileFaults.unreadable(source, error);
    }
  }

  /** Reads it once. */
  Hashed hash(Progress.Listener progress) {
    MessageDigest digest = Manifest.sha256();
    byte[] block = new byte[READ_BYTES];
    long done = 0;
    try (InputStream stream = Files.newInputStream(source)) {
      for (int count = stream.read(block); count > 0; count = stream.read(block)) {
        if (Thread.currentThread().isInterrupted()) {
          throw FileFaults.interrupted();
        }
        digest.update(block, 0, count);
        done += count;
        progress.on(new Progress(Progress.Phase.HASH, path, done, sizeBytes));
      }
    } catch (IOException error) {
      throw FileFaults.unreadable(source, error);
    }
    if (done != sizeBytes) {
      throw changed();
    }
    requireUnchanged();
    return new Hashed(this, new FileDigest(path, Manifest.hex(digest), sizeBytes));
  }

  /** Its bytes from an offset on. */
  RandomAccessFile openAt(long offset) throws IOException {
    RandomAccessFile file = new RandomAccessFile(source.toFile(), "r");
    try {
      file.seek(offset);
      return file;
    } catch (IOException error) {
      file.close();
      throw error;
    }
  }

  /** Refuses to go on with a file somebody writes to. */
  void requireUnchanged() {
    LocalFile now;
    try {
      now = of(path, source);
    } catch (InvalidArgumentException gone) {
      throw changed();
    }
    if (!now.equals(this)) {
      throw changed();
    }
  }

  /** The error for a file that is not what it was when the push began. */
  IntegrityException changed() {
    String message = source + " changed while it was pushed; wait until nothing writes to it and push again";
    return new IntegrityException(
        Failure.of(Status.Code.DATA_LOSS, message).because("DIGEST_MISMATCH", Map.of("path", path)));
  }
}
