package dev.registrygrpc.client;

import com.google.protobuf.ByteString;
import dev.registrygrpc.v1.Artifact;
import dev.registrygrpc.v1.ArtifactServiceGrpc;
import dev.registrygrpc.v1.Chunk;
import dev.registrygrpc.v1.Digest;
import dev.registrygrpc.v1.GetArtifactRequest;
import dev.registrygrpc.v1.GetUploadRequest;
import dev.registrygrpc.v1.ListUploadsRequest;
import dev.registrygrpc.v1.ListUploadsResponse;
import dev.registrygrpc.v1.ReadArtifactRequest;
import dev.registrygrpc.v1.ReadArtifactResponse;
import dev.registrygrpc.v1.StartUploadRequest;
import dev.registrygrpc.v1.Upload;
import dev.registrygrpc.v1.WriteUploadRequest;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.UnaryOperator;
import java.util.zip.CRC32C;

/** Artifacts of a registry that cuts streams and damages bytes when told to. Holds one upload and one file. */
final class FakeArtifacts extends ArtifactServiceGrpc.ArtifactServiceImplBase {
  /** Such a part is safe once it is whole. */
  static final int PART_BYTES = 1 << 20;

  /**
   * Ends a stream.
   *
   * @param afterBytes of it
   * @param error with this
   */
  record Cut(long afterBytes, RuntimeException error) {}

  final Queue<Cut> cuts = new ConcurrentLinkedQueue<>();
  final Queue<UnaryOperator<ReadArtifactResponse>> damages = new ConcurrentLinkedQueue<>();

  /** Where each stream began. */
  final List<Long> began = new ArrayList<>();

  final ByteArrayOutputStream received = new ByteArrayOutputStream();

  /** How often GetUpload says FINALIZING before it says COMMITTED. */
  volatile int polls;

  volatile byte[] content = new byte[0];
  volatile StartUploadRequest started;
  volatile int starts;
  volatile RuntimeException lookFails;
  private volatile Upload.State state = Upload.State.STATE_ACTIVE;

  Artifact artifact() {
    byte[] bytes = content;
    return Artifact.newBuilder()
        .setName("projects/p/models/m/versions/1/artifacts/x")
        .setPath("model.bin")
        .setDigest(
            Digest.newBuilder()
                .setSha256(java.util.HexFormat.of().formatHex(Manifest.sha256().digest(bytes)))
                .setSizeBytes(bytes.length))
        .build();
  }

  private synchronized Upload upload() {
    Upload.Builder made = Upload.newBuilder().setName("u" + starts).setState(state).setMaxChunkBytes(1 << 18);
    if (state == Upload.State.STATE_COMMITTED) {
      return made.setArtifact(Artifact.newBuilder().setName("done")).build();
    }
    return made.setPersistedSize(received.size()).build();
  }

  @Override
  public void listUploads(ListUploadsRequest request, StreamObserver<ListUploadsResponse> answers) {
    answer(answers, ListUploadsResponse.getDefaultInstance());
  }

  @Override
  public void startUpload(StartUploadRequest request, StreamObserver<Upload> answers) {
    started = request;
    starts++;
    answer(answers, upload());
  }

  @Override
  public void getUpload(GetUploadRequest request, StreamObserver<Upload> answers) {
    RuntimeException failure = lookFails;
    lookFails = null;
    if (failure != null) {
      answers.onError(failure);
      return;
    }
    if (state == Upload.State.STATE_FINALIZING && polls-- <= 0) {
      state = Upload.State.STATE_COMMITTED;
    }
    answer(answers, upload());
  }

  @Override
  public StreamObserver<WriteUploadRequest> writeUpload(StreamObserver<Upload> answers) {
    Cut cut = cuts.poll();
    return new StreamObserver<>() {
      private final ByteArrayOutputStream part = new ByteArrayOutputStream();
      private long bytes;
      private boolean isFirst = true;

      @Override
      public void onNext(WriteUploadRequest request) {
        if (isFirst) {
          began.add(request.getWriteOffset());
          isFirst = false;
        }
        if (cut != null && bytes >= cut.afterBytes()) {
          answers.onError(cut.error());
          return;
        }
        take(request.getChunk());
        if (request.getFinishWrite()) {
          received.writeBytes(part.toByteArray());
          state = polls > 0 ? Upload.State.STATE_FINALIZING : Upload.State.STATE_COMMITTED;
          answer(answers, upload());
        }
      }

      private void take(Chunk chunk) {
        if (!chunk.getContent().isEmpty() && checksum(chunk.getContent()) != chunk.getCrc32C()) {
          throw new AssertionError("wrong checksum");
        }
        bytes += chunk.getContent().size();
        part.writeBytes(chunk.getContent().toByteArray());
        if (part.size() >= PART_BYTES) {
          received.writeBytes(part.toByteArray());
          part.reset();
        }
      }

      @Override
      public void onError(Throwable error) {
        // The client went away: what is safe is safe.
      }

      @Override
      public void onCompleted() {
        // Only finish_write completes.
      }
    };
  }

  @Override
  public void getArtifact(GetArtifactRequest request, StreamObserver<Artifact> answers) {
    answer(answers, artifact());
  }

  @Override
  public void readArtifact(ReadArtifactRequest request, StreamObserver<ReadArtifactResponse> answers) {
    Cut cut = cuts.poll();
    began.add(request.getReadOffset());
    long end = request.getReadOffset() + request.getReadLimit();
    answers.onNext(ReadArtifactResponse.newBuilder().setArtifact(artifact()).build());
    for (long at = request.getReadOffset(); at < end; at += PART_BYTES) {
      if (cut != null && at - request.getReadOffset() >= cut.afterBytes()) {
        answers.onError(cut.error());
        return;
      }
      ByteString bytes = ByteString.copyFrom(content, (int) at, (int) Math.min(PART_BYTES, end - at));
      ReadArtifactResponse made =
          ReadArtifactResponse.newBuilder()
              .setOffset(at)
              .setChunk(Chunk.newBuilder().setContent(bytes).setCrc32C(checksum(bytes)))
              .build();
      UnaryOperator<ReadArtifactResponse> damage = damages.poll();
      answers.onNext(damage == null ? made : damage.apply(made));
    }
    answers.onCompleted();
  }

  static int checksum(ByteString bytes) {
    CRC32C checksum = new CRC32C();
    checksum.update(bytes.toByteArray());
    return (int) checksum.getValue();
  }

  private static <A> void answer(StreamObserver<A> answers, A answer) {
    answers.onNext(answer);
    answers.onCompleted();
  }
}
