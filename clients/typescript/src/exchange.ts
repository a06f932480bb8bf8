/**
 * One call on the wire, of any kind: messages out, messages in, a status at the end.
 *
 * It stands on the channel's calls instead of grpc-js's client streams: those read up to sixteen messages ahead and
 * queue what is written, which with messages of 1 MiB is too much. Here nothing is read before it is asked for, and a
 * write ends when the transport took it.
 */

import { Metadata, status as codes } from "@grpc/grpc-js";
import type { Channel, StatusObject } from "@grpc/grpc-js";
import { CancelledError, DeadlineExceededError, RegistryError } from "./errors.js";
import { errorFromCall } from "./status.js";

type RawCall = ReturnType<Channel["createCall"]>;

/** What a call needs besides its messages. */
export interface CallSetup {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as `x-request-id`; errors name it. */
  readonly callId: string;
  /** When the call must have ended, milliseconds since 1970; undefined for never. */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Wait for a connection instead of failing while there is none. */
  readonly waitForReady?: boolean;
}

/** What ended well. */
export interface Ending {
  readonly trailers: Metadata;
}

interface Reader {
  readonly resolve: (message: Uint8Array | undefined) => void;
  readonly reject: (error: RegistryError) => void;
}

/** One call. One reader and one writer at a time. */
export class Exchange {
  readonly #raw: RawCall;
  readonly #setup: CallSetup;
  readonly #onAbort = (): void => {
    this.cancel();
  };
  readonly #ended: Promise<StatusObject>;
  #status: StatusObject | undefined;
  #reader: Reader | undefined;
  #end!: (status: StatusObject) => void;

  /** Opens the call. Throws CancelledError when its signal has fired already. */
  constructor(channel: Channel, setup: CallSetup) {
    throwIfAborted(setup.signal);
    this.#setup = setup;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const metadata = new Metadata({ waitForReady: setup.waitForReady ?? false });
    for (const [key, value] of Object.entries(setup.headers)) {
      metadata.set(key, value);
    }
    this.#raw = channel.createCall(setup.path, setup.deadlineMs ?? Infinity, null, null, null);
    this.#raw.start(metadata, {
      onReceiveMetadata: () => undefined,
      onReceiveMessage: (message: Uint8Array) => {
        this.#deliver(message);
      },
      onReceiveStatus: (status) => {
        this.#finish(status);
      },
    });
    setup.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Whether the server, the deadline or somebody here ended it. */
  get isOver(): boolean {
    return this.#status !== undefined;
  }

  /** Resolves when the call is over, however it ended. */
  get over(): Promise<unknown> {
    return this.#ended;
  }

  /**
   * Hand one message to the transport; resolves when it took the message, or when the call is over.
   *
   * It never rejects: what became of the call is told by `next` and `ending`.
   */
  async write(message: Buffer): Promise<void> {
    if (this.isOver) {
      return;
    }
    const taken = new Promise<void>((resolve) => {
      this.#raw.sendMessageWithContext(
        {
          callback: () => {
            resolve();
          },
        },
        message,
      );
    });
    await Promise.race([taken, this.#ended]);
  }

  /** No more messages from this side. */
  halfClose(): void {
    if (!this.isOver) {
      this.#raw.halfClose();
    }
  }

  /**
   * The next message; undefined when the server ended the call well.
   *
   * @throws RegistryError
   */
  next(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#status !== undefined) {
        settle(this.#status, this.#setup, { resolve, reject });
        return;
      }
      this.#reader = { resolve, reject };
      this.#raw.startRead();
    });
  }

  /**
   * How the call ended; waits for it.
   *
   * @throws RegistryError
   */
  async ending(): Promise<Ending> {
    const status = await this.#ended;
    if (status.code !== codes.OK) {
      throw failure(status, this.#setup);
    }
    return { trailers: status.metadata };
  }

  /** End it from this side; what waits for it is rejected with CancelledError. Nothing happens when it is over. */
  cancel(): void {
    if (!this.isOver) {
      this.#raw.cancelWithStatus(codes.CANCELLED, "cancelled by the client");
    }
  }

  #deliver(message: Uint8Array): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.resolve(message);
  }

  #finish(status: StatusObject): void {
    this.#status = status;
    this.#setup.signal?.removeEventListener("abort", this.#onAbort);
    this.#end(status);
    if (this.#reader !== undefined) {
      settle(status, this.#setup, this.#reader);
      this.#reader = undefined;
    }
  }
}

function settle(status: StatusObject, setup: CallSetup, reader: Reader): void {
  if (status.code === codes.OK) {
    reader.resolve(undefined);
  } else {
    reader.reject(failure(status, setup));
  }
}

function failure(status: StatusObject, setup: CallSetup): RegistryError {
  if (status.code === codes.CANCELLED && setup.signal?.aborted === true) {
    return abortError(setup.signal);
  }
  return errorFromCall(status, setup.callId);
}

/** The error for a signal that fired: DeadlineExceededError for `AbortSignal.timeout`, else CancelledError. */
export function abortError(signal: AbortSignal): RegistryError {
  const cause: unknown = signal.reason;
  if (cause instanceof RegistryError) {
    return cause;
  }
  if (cause instanceof DOMException && cause.name === "TimeoutError") {
    return new DeadlineExceededError("the time given by the signal is over", { cause });
  }
  return new CancelledError("aborted by the caller", { cause });
}

/** Throws when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) {
    throw abortError(signal);
  }
}
