package dev.registrygrpc.client;

import com.google.protobuf.UnsafeByteOperations;
import dev.registrygrpc.client.errors.InternalException;
import dev.registrygrpc.v1.ArtifactServiceGrpc;
import dev.registrygrpc.v1.Chunk;
import dev.registrygrpc.v1.Digest;
import dev.registrygrpc.v1.Upload;
import dev.registrygrpc.v1.WriteUploadRequest;
import io.grpc.CallOptions;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.time.Duration;
import java.util.function.LongConsumer;
import java.util.zip.CRC32C;

/**
 * One WriteUpload call: from the persisted offset to the end of the file. One chunk is in memory, one in the transport.
 */
final class UploadStream {
  private static final int CHUNK_BYTES = 1 << 20;

  /** Without a chunk taken by the transport the stream counts as dead. */
  private static final Duration STALL = Duration.ofSeconds(120);

  /** From the last chunk to the answer: a resumed upload is read back once before it completes. */
  private static final Duration COMPLETE = Duration.ofSeconds(900);

  private final Connection connection;
  private final LocalFile.Hashed file;
  private final int chunkBytes;
  private final LongConsumer sent;
  private String name;
  private long offset;

  UploadStream(Connection connection, LocalFile.Hashed file, Upload at, LongConsumer sent) {
    this.connection = connection;
    this.file = file;
    this.sent = sent;
    this.name = at.getName();
    this.offset = at.getPersistedSize();
    this.chunkBytes = at.getMaxChunkBytes() > 0 ? (int) Math.min(CHUNK_BYTES, at.getMaxChunkBytes()) : CHUNK_BYTES;
  }

  /** The upload as the server answers it. */
  Upload run() {
    try (StreamCall<WriteUploadRequest, Upload> call =
        new StreamCall<>(
            connection.channel(connection.settings().timeout()),
            ArtifactServiceGrpc.getWriteUploadMethod(),
            CallOptions.DEFAULT)) {
      if (sendAll(call)) {
        call.sendEnd();
      }
      Upload answer = call.next(COMPLETE);
      if (answer == null || call.next(STALL) != null) {
        throw new InternalException("the server gave not exactly one answer to an upload");
      }
      return answer;
    }
  }

  /** False when the server ended the call before all was sent. */
  private boolean sendAll(StreamCall<WriteUploadRequest, Upload> call) {
    long size = file.digest().sizeBytes();
    file.local().requireUnchanged();
    try (RandomAccessFile source = file.local().openAt(offset)) {
      while (offset < size) {
        byte[] content = read(source, (int) Math.min(chunkBytes, size - offset));
        if (!call.send(chunk(content), STALL)) {
          return false;
        }
        offset += content.length;
        sent.accept(offset);
      }
    } catch (IOException error) {
      throw FileFaults.unreadable(file.local().source(), error);
    }
    file.local().requireUnchanged();
    return call.send(last(), STALL);
  }

  private byte[] read(RandomAccessFile source, int count) throws IOException {
    byte[] content = new byte[count];
    int filled = 0;
    while (filled < count) {
      int more = source.read(content, filled, count - filled);
      if (more < 0) {
        throw file.local().changed();
      }
      filled += more;
    }
    return content;
  }

  private WriteUploadRequest chunk(byte[] content) {
    CRC32C checksum = new CRC32C();
    checksum.update(content, 0, content.length);
    // Nobody writes to the array any more: no copy.
    Chunk.Builder chunk =
        Chunk.newBuilder().setContent(UnsafeByteOperations.unsafeWrap(content)).setCrc32C((int) checksum.getValue());
    WriteUploadRequest made = message().setChunk(chunk).build();
    name = "";
    return made;
  }

  private WriteUploadRequest last() {
    Digest whole =
        Digest.newBuilder().setSha256(file.digest().sha256()).setSizeBytes(file.digest().sizeBytes()).build();
    return message().setFinishWrite(true).setDigest(whole).build();
  }

  /** The upload is named in the first message only. */
  private WriteUploadRequest.Builder message() {
    return WriteUploadRequest.newBuilder().setName(name).setWriteOffset(offset);
  }
}
