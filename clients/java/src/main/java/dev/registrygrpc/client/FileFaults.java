package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.CancelledException;
import dev.registrygrpc.client.errors.FailedPreconditionException;
import dev.registrygrpc.client.errors.InvalidArgumentException;
import dev.registrygrpc.client.errors.RegistryException;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Says of a file that failed what the caller can do about it. */
final class FileFaults {
  private FileFaults() {}

  /** Why, in words; the file is named by whoever asks. */
  static String why(IOException error) {
    if (error instanceof NoSuchFileException) {
      return "no such file";
    }
    if (error instanceof AccessDeniedException) {
      return "permission denied";
    }
    if (error instanceof FileSystemException named && named.getReason() != null) {
      return named.getReason();
    }
    return String.valueOf(error.getMessage());
  }

  /** A file to be sent that cannot be read. */
  static RegistryException unreadable(Path file, IOException error) {
    return caused(
        isInterrupt(error)
            ? interrupted()
            : new InvalidArgumentException(file + " cannot be read: " + why(error)),
        error);
  }

  /** A place that cannot be written. */
  static RegistryException unwritable(Path file, IOException error) {
    return caused(
        isInterrupt(error)
            ? interrupted()
            : new FailedPreconditionException(file + " cannot be written: " + why(error)),
        error);
  }

  /** The thread was interrupted while it waited; the flag is set again for whoever owns the thread. */
  static CancelledException interrupted() {
    Thread.currentThread().interrupt();
    return new CancelledException("interrupted");
  }

  private static boolean isInterrupt(IOException error) {
    return error instanceof ClosedByInterruptException;
  }

  private static RegistryException caused(RegistryException made, IOException cause) {
    made.initCause(cause);
    return made;
  }
}
