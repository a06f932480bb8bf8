/** What a long transfer tells its caller. */

/**
 * What is being done to a file: `attach` means that the registry holds the bytes already and none are sent, `present`
 * that they are where they belong and none are fetched.
 */
export type Phase = "hash" | "upload" | "attach" | "download" | "present";

/** How far one file is. Sizes in bytes; `doneBytes` may fall when a cut stream resumes. */
export interface Progress {
  /** What is being done. */
  readonly phase: Phase;
  /** Path inside the version. */
  readonly path: string;
  /** Bytes that are done. */
  readonly doneBytes: number;
  /** Bytes of the file. */
  readonly sizeBytes: number;
}

/** Called in the middle of a transfer: must be quick and must not throw. */
export type Report = (progress: Progress) => void;

/** What every transfer takes. `timeoutMs` is the deadline of one call of it, not of the whole. */
export interface TransferOptions {
  /** Ends the transfer; what is safe by then is gone on with by the next one. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline of each call. */
  readonly timeoutMs?: number | undefined;
  /** Told how far each file is. */
  readonly progress?: Report | undefined;
}
