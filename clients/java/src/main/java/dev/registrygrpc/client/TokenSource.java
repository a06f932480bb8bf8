package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.UnauthenticatedException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;

/** Gives the bearer token of each call; a file is read again when it changed, so that rotated tokens are picked up. */
final class TokenSource {
  private final Path file;
  /** A file nobody named: it may be absent, and must be this user's alone. */
  private final boolean found;

  private String token;
  private Seen seen;

  private record Seen(long modified, Object key, long size) {}

  private TokenSource(String token, Path file, boolean found) {
    this.token = token;
    this.file = file;
    this.found = found;
  }

  static TokenSource given(String token) {
    return new TokenSource(token, null, false);
  }

  static TokenSource file(Path file) {
    return new TokenSource("", file, false);
  }

  static TokenSource found(Path file) {
    return new TokenSource("", file, true);
  }

  /**
   * The token now; empty for none.
   *
   * @throws UnauthenticatedException when the file cannot be used
   */
  synchronized String token() {
    if (file == null) {
      return token;
    }
    try {
      if (found && !Files.exists(file)) {
        return "";
      }
      if (found) {
        requirePrivate();
      }
      BasicFileAttributes facts = Files.readAttributes(file, BasicFileAttributes.class);
      // Kubernetes swaps a link: another file with perhaps the same time.
      Seen now = new Seen(facts.lastModifiedTime().toMillis(), facts.fileKey(), facts.size());
      if (!now.equals(seen)) {
        token = Files.readString(file).strip();
        seen = now;
      }
      return token;
    } catch (IOException unreadable) {
      throw new UnauthenticatedException(
          "the token file " + file + " cannot be read: " + FileFaults.why(unreadable));
    }
  }

  private void requirePrivate() throws IOException {
    if (!Files.getFileStore(file).supportsFileAttributeView("posix")) {
      return;
    }
    PosixFileAttributes facts = Files.readAttributes(file, PosixFileAttributes.class);
    String mode = PosixFilePermissions.toString(facts.permissions());
    boolean isMine = facts.owner().getName().equals(System.getProperty("user.name"));
    if (!mode.endsWith("------") || !isMine) {
      throw new UnauthenticatedException(
          file + " (" + mode + ") can be read by others or is not yours; chmod 600 it, or make a new token if someone"
              + " may have seen it");
    }
  }

  /** Where the token comes from, for people; never the token. */
  @Override
  public String toString() {
    if (file != null) {
      return file.toString();
    }
    return token.isEmpty() ? "none" : "given";
  }
}
