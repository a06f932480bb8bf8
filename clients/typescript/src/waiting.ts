/** Waiting, and when a cut transfer goes on. */

import { setTimeout as sleepFor } from "node:timers/promises";
import {
  CancelledError,
  DeadlineExceededError,
  InternalError,
  ResourceExhaustedError,
  UnavailableError,
} from "./errors.js";
import type { RegistryError } from "./errors.js";
import { abortError, throwIfAborted } from "./exchange.js";

/** Without progress; together about 45 s, longer than a replica takes to be replaced. */
const MAX_ATTEMPTS = 8;
const FIRST_PAUSE_MS = 300;
const MAX_PAUSE_MS = 10_000;
const TRANSIENT_KINDS = [UnavailableError, InternalError, DeadlineExceededError, CancelledError];
const TRANSIENT_REASONS = new Set([
  "TRANSACTION_CONFLICT",
  "OFFSET_AHEAD",
  "CHUNK_CHECKSUM",
  "RATE_LIMITED",
  "TOO_MANY_STREAMS",
]);

/** Whether going on from what has arrived may help. */
export function isTransient(error: RegistryError): boolean {
  if (TRANSIENT_REASONS.has(error.reason)) {
    return true;
  }
  return !(error instanceof ResourceExhaustedError) && TRANSIENT_KINDS.some((kind) => error instanceof kind);
}

/** A pause a little longer or shorter, so that many who wait do not come back at once. */
export function spread(pauseMs: number): number {
  return pauseMs * (0.8 + 0.4 * Math.random());
}

/**
 * Wait.
 *
 * @throws CancelledError or DeadlineExceededError when the signal fires meanwhile.
 */
export async function pause(pauseMs: number, signal?: AbortSignal): Promise<void> {
  throwIfAborted(signal);
  try {
    await sleepFor(pauseMs, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw signal?.aborted === true ? abortError(signal) : error;
  }
}

/** Counts attempts since bytes last moved. */
export class Patience {
  readonly #signal: AbortSignal | undefined;
  #attempts = 0;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Bytes moved: start counting anew. */
  moved(): void {
    this.#attempts = 0;
  }

  /**
   * Wait before the next attempt.
   *
   * @throws `error` itself when it is not transient, there were too many attempts, or the caller aborted.
   */
  async wait(error: RegistryError): Promise<void> {
    this.#attempts += 1;
    // A stream is ended with its token. Its next attempt takes the one that a rotated file has by now; once, because a
    // token that was merely given ends for good.
    const isRenewed = error.reason === "TOKEN_EXPIRED" && this.#attempts === 1;
    if (this.#signal?.aborted === true || !(isTransient(error) || isRenewed) || this.#attempts > MAX_ATTEMPTS) {
      throw error;
    }
    const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#attempts - 1));
    await pause(spread(Math.max(error.retryAfterMs ?? 0, pauseMs)), this.#signal);
  }
}
