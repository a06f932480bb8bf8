package dev.registrygrpc.conformance;

import dev.registrygrpc.client.Change;
import dev.registrygrpc.client.Watch;
import dev.registrygrpc.client.WatchListener;
import dev.registrygrpc.client.errors.RegistryException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A watch that is read all the time; who waits for its changes has a time limit. */
final class Following implements WatchListener {
  private static final long PATIENCE_S = 20;

  private final BlockingQueue<Object> came = new LinkedBlockingQueue<>();
  private final Watch watch;
  private String token = "";

  Following(Watch watch) {
    this.watch = watch.listen(this);
  }

  @Override
  public void onChange(Change change) {
    came.add(change);
  }

  @Override
  public void onError(RegistryException error) {
    came.add(error);
  }

  /** The next change; throws what ended the watch. */
  Change next() throws InterruptedException, TimeoutException {
    Object found = came.poll(PATIENCE_S, TimeUnit.SECONDS);
    if (found instanceof RegistryException error) {
      throw error;
    }
    if (!(found instanceof Change change)) {
      throw new TimeoutException("no change within " + PATIENCE_S + " s");
    }
    token = change.resumeToken().orElse(token);
    return change;
  }

  String token() {
    return token;
  }

  void close() {
    watch.close();
  }
}
