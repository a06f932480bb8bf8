/** Several things at once. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CancelledError, InvalidArgumentError } from "@registry-grpc/client";
import { inParallel } from "#internal/parallel";

test("results come in order, never more than so many at a time", async () => {
  let running = 0;
  let most = 0;
  const doubled = await inParallel([5, 1, 4, 2, 3], 2, undefined, async (item) => {
    running += 1;
    most = Math.max(most, running);
    await sleep(item * 5);
    running -= 1;
    return item * 2;
  });
  assert.deepEqual(doubled, [10, 2, 8, 4, 6]);
  assert.equal(most, 2);
});

test("the first failure ends the others, and is thrown when they have ended", async () => {
  const begun: number[] = [];
  let ended = 0;
  const work = inParallel([1, 2, 3, 4], 2, undefined, async (item, signal) => {
    begun.push(item);
    if (item === 1) {
      throw new TypeError("first");
    }
    await sleep(10_000, undefined, { signal }).catch(() => {
      ended += 1;
    });
  });
  await assert.rejects(work, TypeError);
  assert.deepEqual([begun, ended], [[1, 2], 1]);
});

test("an abort between two items is no success", async () => {
  const abort = new AbortController();
  const work = inParallel([1, 2], 1, abort.signal, (item) => {
    abort.abort();
    return Promise.resolve(item);
  });
  await assert.rejects(work, CancelledError);
});

test("none at a time is refused", async () => {
  await assert.rejects(
    inParallel([1], 0, undefined, () => Promise.resolve()),
    InvalidArgumentError,
  );
});
