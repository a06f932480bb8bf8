package dev.registrygrpc.client;

import io.grpc.ManagedChannel;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Keeps trying servers that are away, about every second. gRPC for Java waits up to two minutes and has no setting for
 * it: in a rolling restart the first replica would be back for long, unasked, when the last one goes.
 */
final class Reconnects {
  private static final long INTERVAL_MS = 1000;
  private static final ScheduledThreadPoolExecutor TIMER = timer();

  private Reconnects() {}

  static ScheduledFuture<?> of(ManagedChannel channel) {
    return TIMER.scheduleWithFixedDelay(
        channel::resetConnectBackoff, INTERVAL_MS, INTERVAL_MS, TimeUnit.MILLISECONDS);
  }

  /** One thread for all channels, which ends when there are none. */
  private static ScheduledThreadPoolExecutor timer() {
    ScheduledThreadPoolExecutor made =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, "mreg-reconnects");
              thread.setDaemon(true);
              return thread;
            });
    made.setRemoveOnCancelPolicy(true);
    made.setKeepAliveTime(10, TimeUnit.SECONDS);
    made.allowCoreThreadTimeOut(true);
    return made;
  }
}
