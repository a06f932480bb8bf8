package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.RegistryException;

/** What has to be remembered so that a read sees our own writes. Any number of threads. */
final class Revisions {
  private long written;
  private String registry = "";

  /** Revision of our last write; 0 for none. */
  synchronized long written() {
    return written;
  }

  synchronized void note(long revision) {
    written = Math.max(written, revision);
  }

  /**
   * Whether a read that asked for {@code wished} failed because of that, and is worth sending again without: another
   * registry, or an older copy of this one, answers now, and what we wrote is not in it.
   */
  synchronized boolean forgets(RegistryException error, long wished) {
    if (!error.reason().equals("REVISION_UNKNOWN") || wished == 0) {
      return false;
    }
    // When it is another by now, another thread found out before, and may have written since.
    if (written == wished) {
      written = 0;
    }
    return true;
  }

  /** Revisions compare only within one registry. */
  synchronized void noteRegistry(String uid) {
    if (!registry.isEmpty() && !registry.equals(uid)) {
      written = 0;
    }
    registry = uid;
  }
}
