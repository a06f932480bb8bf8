/** Small things about local files. */

/** Size of the pieces files are read and sent in, bytes. */
export const PIECE_BYTES = 1 << 20;

/** What the system said, for people. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) {
    return "code" in error && typeof error.code === "string" ? error.code : error.message;
  }
  return String(error);
}

/** Whether the system said that something is not there. */
export function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
