/**
 * WriteUploadRequest with its bytes, put together in one buffer that the bytes are read into. protobuf's own way copies
 * them twice.
 *
 * Source: protobuf encoding. Fields may come in any order.
 */

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { crc32c } from "@node-rs/crc32";

const NAME_FIELD = 1;
const OFFSET_FIELD = 2;
const CHUNK_FIELD = 3;
const CONTENT_FIELD = 1;
const CRC32C_FIELD = 2;
/** A tag below 16, and a fixed32. */
const CRC32C_BYTES = 5;

/** A message being made: bytes are put into `content`, then `seal` gives the whole. */
export interface ChunkMessage {
  readonly content: Buffer;
  /** The message, with the CRC32C of what is in `content` now. */
  seal(): Buffer;
}

/**
 * A WriteUploadRequest with `size` bytes that begin at byte `offset` of the file; `name` only in the first of a
 * call.
 */
export function chunkMessage(name: string, offset: number, size: number): ChunkMessage {
  const head = new BinaryWriter();
  if (name !== "") {
    head.tag(NAME_FIELD, WireType.LengthDelimited).string(name);
  }
  if (offset > 0) {
    head.tag(OFFSET_FIELD, WireType.Varint).int64(offset);
  }
  const inner = new BinaryWriter().tag(CONTENT_FIELD, WireType.LengthDelimited).uint32(size).finish();
  head
    .tag(CHUNK_FIELD, WireType.LengthDelimited)
    .uint32(inner.length + size + CRC32C_BYTES)
    .raw(inner);
  const front = head.finish();
  // Not from the pool: a slice of it would keep the whole alive.
  const message = Buffer.allocUnsafeSlow(front.length + size + CRC32C_BYTES);
  message.set(front);
  const content = message.subarray(front.length, front.length + size);
  return {
    content,
    seal: () => {
      message[message.length - CRC32C_BYTES] = (CRC32C_FIELD << 3) | WireType.Bit32;
      message.writeUInt32LE(crc32c(content), message.length - CRC32C_BYTES + 1);
      return message;
    },
  };
}
