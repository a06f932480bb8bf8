/** Watches that stay open over several steps. */

import type { Change, Registry, Watch } from "@registry-grpc/client";

/** For each change. */
const PATIENCE_MS = 20_000;
/** How long a watch may take to be there. */
const OPENED_MS = 500;

/** A watch that is read all the time, so that nothing waits in the server. */
export class OpenWatch {
  readonly #watch: Watch;
  readonly #client: Registry | undefined;
  readonly #changes: Change[] = [];
  #failure: Error | undefined;
  #isOver = false;
  /** Called when something came. */
  #wake: () => void = () => undefined;
  #token: string;

  /** `client` is closed with it; undefined when others use it, too. */
  constructor(watch: Watch, client: Registry | undefined) {
    this.#watch = watch;
    this.#client = client;
    this.#token = watch.resumeToken;
    void this.#read();
  }

  /** Where to go on behind the changes that were taken. */
  get resumeToken(): string {
    return this.#token;
  }

  /** Wait until something came, or long enough that "from now on" is before what the next step does. */
  async opened(): Promise<void> {
    await this.#until(() => this.#changes.length > 0 || this.#isOver, OPENED_MS);
  }

  /** The next `count` changes, each told to `live` as it comes; fewer when no more come in time. */
  async take(count: number, live: (change: Change) => void): Promise<Change[]> {
    const taken: Change[] = [];
    while (taken.length < count) {
      await this.#until(() => this.#changes.length > 0 || this.#isOver, PATIENCE_MS);
      const change = this.#changes.shift();
      if (change === undefined) {
        this.#raise();
        break;
      }
      this.#token = change.resumeToken || this.#token;
      live(change);
      taken.push(change);
    }
    return taken;
  }

  /** End it. */
  async close(): Promise<void> {
    await this.#watch.return();
    this.#client?.close();
  }

  async #read(): Promise<void> {
    try {
      for await (const change of this.#watch) {
        this.#changes.push(change);
        this.#wake();
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error("a watch threw what is no error");
    }
    this.#isOver = true;
    this.#wake();
  }

  #raise(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) {
      throw failure;
    }
  }

  async #until(done: () => boolean, limitMs: number): Promise<void> {
    const deadline = Date.now() + limitMs;
    while (!done() && Date.now() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - Date.now());
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
