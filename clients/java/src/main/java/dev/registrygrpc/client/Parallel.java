package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.RegistryException;
import io.grpc.Context;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** Does the same to several files at a time; the first failure, or an interrupt, ends the others. */
final class Parallel {
  private Parallel() {}

  /** The results, in the order of the items. */
  static <T, R> List<R> map(List<T> items, int threads, String name, Function<T, R> work) {
    ExecutorService pool = Executors.newFixedThreadPool(threads, task -> daemon(task, name));
    try {
      ExecutorCompletionService<R> completion = new ExecutorCompletionService<>(pool);
      List<Future<R>> begun = new ArrayList<>();
      for (T item : items) {
        begun.add(completion.submit(Context.current().wrap(() -> work.apply(item))));
      }
      for (int count = 0; count < begun.size(); count++) {
        result(completion.take());
      }
      List<R> results = new ArrayList<>();
      for (Future<R> each : begun) {
        results.add(result(each));
      }
      return results;
    } catch (InterruptedException interrupt) {
      throw FileFaults.interrupted();
    } finally {
      pool.shutdownNow();
      awaitEnd(pool);
    }
  }

  private static <R> R result(Future<R> future) throws InterruptedException {
    try {
      return future.get();
    } catch (ExecutionException failed) {
      if (failed.getCause() instanceof RegistryException error) {
        throw error;
      }
      if (failed.getCause() instanceof RuntimeException error) {
        throw error;
      }
      throw new IllegalStateException(failed.getCause());
    }
  }

  /** Nobody writes to a directory any more when its removal begins. */
  private static void awaitEnd(ExecutorService pool) {
    boolean interrupted = Thread.interrupted();
    try {
      pool.awaitTermination(10, TimeUnit.SECONDS);
    } catch (InterruptedException again) {
      interrupted = true;
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static Thread daemon(Runnable task, String name) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    return thread;
  }
}
