package dev.registrygrpc.client;

/**
 * How far one file of a transfer is.
 *
 * @param phase what is being done to it
 * @param path inside the version
 * @param doneBytes so many; may fall when a cut stream resumes
 * @param sizeBytes of all
 */
public record Progress(Phase phase, String path, long doneBytes, long sizeBytes) {
  /** What is being done to a file. */
  public enum Phase {
    /** It is read to know its digest. */
    HASH,
    /** Its bytes are sent. */
    UPLOAD,
    /** The registry holds the bytes already; none are sent. */
    ATTACH,
    /** Its bytes are fetched. */
    DOWNLOAD
  }

  /** Is told how far a transfer is: from several threads; must be quick and must not throw. */
  @FunctionalInterface
  public interface Listener {
    /** Is told nothing. */
    Listener SILENT = progress -> {};

    /**
     * One file got further.
     *
     * @param progress how far it is
     */
    void on(Progress progress);
  }
}
