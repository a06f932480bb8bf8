package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.registrygrpc.client.errors.FailedPreconditionException;
import dev.registrygrpc.client.errors.IntegrityException;
import dev.registrygrpc.client.errors.OutOfRangeException;
import dev.registrygrpc.v1.Artifact;
import dev.registrygrpc.v1.ReadArtifactResponse;
import dev.registrygrpc.v1.ResolveRequest;
import dev.registrygrpc.v1.ResolveResponse;
import dev.registrygrpc.v1.StageServiceGrpc;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class DownloadTest {
  private static final String NAME = "projects/p/models/m/versions/1/artifacts/x";
  private static final long PART = FakeArtifacts.PART_BYTES;

  private final FakeArtifacts artifacts = new FakeArtifacts();
  private final Stages stages = new Stages();
  private FakeServer server;
  private Registry registry;
  @TempDir Path directory;

  /** Resolves everything to one version. */
  private static final class Stages extends StageServiceGrpc.StageServiceImplBase {
    volatile ResolveResponse answer;

    @Override
    public void resolve(ResolveRequest request, StreamObserver<ResolveResponse> answers) {
      answers.onNext(answer);
      answers.onCompleted();
    }
  }

  @BeforeEach
  void start() throws IOException {
    server = new FakeServer(artifacts, stages);
    registry = server.client().build();
    artifacts.content = new byte[5_000_000];
    new Random(1).nextBytes(artifacts.content);
    serve(artifacts.artifact());
  }

  private void serve(Artifact... files) {
    List<FileDigest> digests =
        Stream.of(files)
            .map(each -> new FileDigest(each.getPath(), each.getDigest().getSha256(), each.getDigest().getSizeBytes()))
            .toList();
    stages.answer =
        ResolveResponse.newBuilder()
            .setVersion("projects/p/models/m/versions/1")
            .setManifestDigest(Manifest.digest(digests))
            .setFileCount(files.length)
            .addAllArtifacts(List.of(files))
            .build();
  }

  @AfterEach
  void stop() {
    registry.close();
    server.close();
  }

  private byte[] readAll() throws IOException {
    try (InputStream stream = registry.read(NAME)) {
      return stream.readAllBytes();
    }
  }

  private static ReadArtifactResponse damaged(ReadArtifactResponse answer, boolean hasChecksum) {
    byte[] bytes = answer.getChunk().getContent().toByteArray();
    bytes[7] ^= 1;
    ReadArtifactResponse.Builder made = answer.toBuilder();
    made.getChunkBuilder().setContent(ByteString.copyFrom(bytes));
    if (hasChecksum) {
      made.getChunkBuilder().setCrc32C(FakeArtifacts.checksum(ByteString.copyFrom(bytes)));
    }
    return made.build();
  }

  @Test
  void aCutStreamGoesOnWhereItWas() throws IOException {
    artifacts.cuts.add(new FakeArtifacts.Cut(2 * PART, Status.UNAVAILABLE.asRuntimeException()));
    assertArrayEquals(artifacts.content, readAll());
    assertEquals(List.of(0L, 2 * PART), artifacts.began);
  }

  @Test
  void aChunkThatArrivesDamagedIsAskedForAgain() throws IOException {
    artifacts.damages.add(answer -> damaged(answer, false));
    assertArrayEquals(artifacts.content, readAll());
    assertEquals(List.of(0L, 0L), artifacts.began);
  }

  @Test
  void bytesThatAreNotTheFilesAreRefusedAtTheEnd() {
    artifacts.damages.add(answer -> damaged(answer, true));
    assertEquals("DIGEST_MISMATCH", assertThrows(IntegrityException.class, this::readAll).reason());
  }

  @Test
  void bytesOfAnotherPlaceAreRefused() {
    artifacts.damages.add(answer -> answer.toBuilder().setOffset(5).build());
    assertThrows(IntegrityException.class, this::readAll);
  }

  @Test
  void aRangeIsARange() throws IOException {
    try (InputStream stream = registry.read(NAME, 1_000_001, 2_000_000)) {
      assertArrayEquals(Arrays.copyOfRange(artifacts.content, 1_000_001, 3_000_001), stream.readAllBytes());
    }
    try (InputStream stream = registry.read(NAME, 4_999_999, 10)) {
      assertEquals(artifacts.content[4_999_999] & 0xff, stream.read());
      assertEquals(-1, stream.read());
    }
    try (InputStream stream = registry.read(NAME, 5_000_000, 1)) {
      assertEquals(-1, stream.read());
    }
    assertThrows(OutOfRangeException.class, () -> registry.read(NAME, 5_000_001, 1));
  }

  @Test
  void aStreamThatIsNotReadHoldsUpNothing() throws IOException {
    artifacts.content = new byte[40_000_000];
    serve(artifacts.artifact());
    try (InputStream stream = registry.read(NAME)) {
      stream.read();
      for (int count = 0; count < 5; count++) {
        registry.pull("m", directory.resolve("out" + count));
      }
      assertEquals(artifacts.content.length - 1, stream.readAllBytes().length);
    }
  }

  @Test
  void aPullAppearsWhole() throws IOException {
    artifacts.cuts.add(new FakeArtifacts.Cut(PART, Status.UNAVAILABLE.asRuntimeException()));
    Path target = directory.resolve("deep/out");
    registry.pull("m@production", target);
    assertArrayEquals(artifacts.content, Files.readAllBytes(target.resolve("model.bin")));
    int before = server.headers.size();
    registry.pull("m@production", target);
    assertEquals(before + 1, server.headers.size(), "what is there is not fetched again");
  }

  @Test
  void equalFilesAreFetchedOnce() throws IOException {
    Artifact one = artifacts.artifact();
    serve(one, one.toBuilder().setPath("sub/twin.bin").build());
    registry.pull("m", directory.resolve("out"));
    assertEquals(-1, Files.mismatch(directory.resolve("out/model.bin"), directory.resolve("out/sub/twin.bin")));
    assertEquals(1, artifacts.began.size());
  }

  @Test
  void aPullThatFailsLeavesNothing() throws IOException {
    artifacts.damages.add(answer -> damaged(answer, true));
    assertThrows(IntegrityException.class, () -> registry.pull("m", directory.resolve("out")));
    assertEmpty();
  }

  private void assertEmpty() throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      assertEquals(List.of(), entries.toList());
    }
  }

  @Test
  void filesOfOthersAreNotTouched() throws IOException {
    Path target = Files.createDirectory(directory.resolve("out"));
    Files.writeString(target.resolve("mine"), "x");
    assertThrows(FailedPreconditionException.class, () -> registry.pull("m", target));
    Path link = Files.createSymbolicLink(directory.resolve("link"), directory.resolve("nowhere"));
    assertThrows(FailedPreconditionException.class, () -> registry.pull("m", link));
    assertEquals("x", Files.readString(target.resolve("mine")));
  }

  @Test
  void anEmptyDirectoryIsFilled() throws IOException {
    Path target = Files.createDirectory(directory.resolve("out"));
    registry.pull("m", target);
    assertTrue(Files.exists(target.resolve("model.bin")));
  }

  @Test
  void aPathThatLeadsOutOfTheDirectoryIsRefused() throws IOException {
    for (String path : new String[] {"../evil", "/evil", "a/../../evil"}) {
      serve(artifacts.artifact().toBuilder().setPath(path).build());
      assertThrows(IntegrityException.class, () -> registry.pull("m", directory.resolve("out")));
    }
    assertEmpty();
    assertTrue(artifacts.began.isEmpty());
  }

  @Test
  void aListThatIsNotTheManifestIsRefused() {
    stages.answer = stages.answer.toBuilder().setManifestDigest("sha256:" + "0".repeat(64)).build();
    assertThrows(IntegrityException.class, () -> registry.pull("m", directory.resolve("out")));
    assertFalse(Files.exists(directory.resolve("out")));
  }

  @Test
  void aPinnedReferenceIsHeldAgainstTheAnswer() {
    assertThrows(IntegrityException.class, () -> registry.resolve("m/1@sha256:" + "0".repeat(64)));
  }
}
