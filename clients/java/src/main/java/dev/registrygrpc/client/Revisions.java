package dev.registrygrpc.client;

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

  /** Another registry, or an older copy of this one, answers now: what we wrote is not in it. */
  synchronized void forget() {
    written = 0;
  }

  /** Revisions compare only within one registry. */
  synchronized void noteRegistry(String uid) {
    if (!registry.isEmpty() && !registry.equals(uid)) {
      written = 0;
    }
    registry = uid;
  }
}
