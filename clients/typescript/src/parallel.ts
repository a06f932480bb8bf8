/** Several things at once, but not too many. */

import { InvalidArgumentError } from "./errors.js";
import { throwIfAborted } from "./exchange.js";

/**
 * Run `work` on every item, at most `limit` at a time, and return what came, in order. The first failure aborts the
 * others and is thrown once they have ended.
 */
export async function inParallel<T, R>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  if (!Number.isInteger(limit) || limit < 1) {
    throw new InvalidArgumentError(`parallel is ${limit.toString()}; it must be at least 1`);
  }
  const stop = new AbortController();
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const results: R[] = [];
  const failures: unknown[] = [];
  const queue = items.entries();
  const lane = async (): Promise<void> => {
    // Lanes share one iterator: each takes the next item nobody has.
    for (const [at, item] of queue) {
      if (both.aborted) {
        return;
      }
      results[at] = await work(item, both);
    }
  };
  const lanes = Array.from({ length: Math.min(limit, items.length) }, () =>
    lane().catch((error: unknown) => {
      failures.push(error);
      stop.abort();
    }),
  );
  await Promise.all(lanes);
  if (failures.length > 0) {
    throw failures[0];
  }
  // Lanes stop between two items without a word.
  throwIfAborted(signal);
  return results;
}
