package dev.registrygrpc.conformance;

import com.google.gson.JsonObject;
import dev.registrygrpc.client.Progress;

/** Prints what was sent or fetched, not too often. */
final class Reported implements Progress.Listener {
  private static final long EVERY_BYTES = 16 << 20;

  private final Case running;
  private long next;

  Reported(Case running) {
    this.running = running;
  }

  @Override
  public synchronized void on(Progress progress) {
    boolean isMoving = progress.phase() == Progress.Phase.UPLOAD || progress.phase() == Progress.Phase.DOWNLOAD;
    if (!isMoving || progress.doneBytes() < next) {
      return;
    }
    next = progress.doneBytes() + EVERY_BYTES;
    JsonObject told = new JsonObject();
    told.addProperty("sent", progress.doneBytes());
    told.addProperty("total", progress.sizeBytes());
    running.tell("progress", told);
  }
}
