package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.registrygrpc.client.errors.CancelledException;
import dev.registrygrpc.client.errors.ConflictException;
import dev.registrygrpc.client.errors.IntegrityException;
import dev.registrygrpc.client.errors.InvalidArgumentException;
import dev.registrygrpc.client.errors.PermissionDeniedException;
import io.grpc.Status;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class UploadTest {
  private static final String VERSION = "projects/p/models/m/versions/1";
  private static final long PART = FakeArtifacts.PART_BYTES;

  private final FakeArtifacts artifacts = new FakeArtifacts();
  private final byte[] content = new byte[5_000_000];
  private FakeServer server;
  private Registry registry;
  private Path file;
  @TempDir Path directory;

  @BeforeEach
  void start() throws IOException {
    server = new FakeServer(artifacts);
    registry = server.client().build();
    new Random(1).nextBytes(content);
    file = Files.write(directory.resolve("model.bin"), content);
  }

  @AfterEach
  void stop() {
    registry.close();
    server.close();
  }

  private String send() {
    return registry.uploadFile(VERSION, "model.bin", file, Progress.Listener.SILENT).getName();
  }

  @Test
  void aFileArrivesWhole() {
    List<Progress> told = new CopyOnWriteArrayList<>();
    registry.uploadFile(VERSION, "model.bin", file, told::add);
    assertArrayEquals(content, artifacts.received.toByteArray());
    assertEquals(content.length, artifacts.started.getSizeBytes());
    Progress last = new Progress(Progress.Phase.UPLOAD, "model.bin", content.length, content.length);
    assertEquals(last, told.get(told.size() - 1));
  }

  @Test
  void anEmptyFileIsAFile() throws IOException {
    file = Files.createFile(directory.resolve("empty"));
    assertEquals("done", send());
    assertEquals(List.of(0L), artifacts.began);
  }

  @Test
  void aCutStreamGoesOnAtWhatIsSafe() {
    artifacts.cuts.add(new FakeArtifacts.Cut(2 * PART + 300_000, Status.UNAVAILABLE.asRuntimeException()));
    artifacts.cuts.add(new FakeArtifacts.Cut(PART, FakeServer.error(Status.Code.OUT_OF_RANGE, "OFFSET_AHEAD")));
    artifacts.cuts.add(new FakeArtifacts.Cut(0, FakeServer.error(Status.Code.DATA_LOSS, "CHUNK_CHECKSUM")));
    assertEquals("done", send());
    assertArrayEquals(content, artifacts.received.toByteArray());
    assertEquals(List.of(0L, 2 * PART, 3 * PART, 3 * PART), artifacts.began);
    assertEquals(1, artifacts.starts);
  }

  @Test
  void aServerThatCompletesIsPolled() {
    artifacts.polls = 3;
    assertEquals("done", send());
    assertEquals(1, artifacts.began.size());
  }

  @Test
  void anUploadThatExpiredIsStartedAgain() {
    artifacts.cuts.add(new FakeArtifacts.Cut(0, Status.UNAVAILABLE.asRuntimeException()));
    artifacts.lookFails = FakeServer.error(Status.Code.NOT_FOUND, "UPLOAD_NOT_FOUND");
    assertEquals("done", send());
    assertEquals(2, artifacts.starts);
  }

  @Test
  void anotherProcessThatPushesTheSameIsAConflict() {
    artifacts.cuts.add(new FakeArtifacts.Cut(0, FakeServer.error(Status.Code.ABORTED, "UPLOAD_SUPERSEDED")));
    assertEquals("UPLOAD_SUPERSEDED", assertThrows(ConflictException.class, this::send).reason());
  }

  @Test
  void whatDoesNotPassIsNotTriedAgain() {
    artifacts.cuts.add(new FakeArtifacts.Cut(0, FakeServer.error(Status.Code.PERMISSION_DENIED, "PERMISSION_DENIED")));
    assertThrows(PermissionDeniedException.class, this::send);
    assertEquals(1, artifacts.began.size());
  }

  @Test
  void aFileThatIsWrittenToMeanwhileIsRefused() {
    Progress.Listener writes =
        progress -> {
          if (progress.phase() == Progress.Phase.UPLOAD && progress.doneBytes() < PART) {
            write(StandardOpenOption.APPEND);
          }
        };
    var error =
        assertThrows(IntegrityException.class, () -> registry.uploadFile(VERSION, "model.bin", file, writes));
    assertTrue(error.getMessage().contains("changed while it was pushed"), error.getMessage());
  }

  @Test
  void aFileThatIsReplacedWhileItIsHashedIsRefused() {
    Progress.Listener writes = progress -> write(StandardOpenOption.TRUNCATE_EXISTING);
    assertThrows(IntegrityException.class, () -> registry.uploadFile(VERSION, "model.bin", file, writes));
    assertEquals(0, artifacts.starts);
  }

  private void write(StandardOpenOption how) {
    try {
      Files.write(file, new byte[] {1}, how);
    } catch (IOException error) {
      throw new AssertionError(error);
    }
  }

  @Test
  void anInterruptEndsATransfer() {
    Thread sender = Thread.currentThread();
    Progress.Listener interrupts =
        progress -> {
          if (progress.phase() == Progress.Phase.UPLOAD) {
            sender.interrupt();
          }
        };
    assertThrows(CancelledException.class, () -> registry.uploadFile(VERSION, "model.bin", file, interrupts));
    assertTrue(Thread.interrupted());
  }

  @Test
  void closingTheRegistryEndsATransfer() {
    Progress.Listener closes =
        progress -> {
          if (progress.phase() == Progress.Phase.UPLOAD) {
            registry.close();
          }
        };
    long began = System.nanoTime();
    assertThrows(RuntimeException.class, () -> registry.uploadFile(VERSION, "model.bin", file, closes));
    assertTrue(System.nanoTime() - began < 10_000_000_000L, "nothing is tried again");
  }

  @Test
  void aStreamIsSentLikeAFile() throws IOException {
    registry.uploadStream(VERSION, "model.bin", new ByteArrayInputStream(content), Progress.Listener.SILENT);
    assertArrayEquals(content, artifacts.received.toByteArray());
    assertEquals(content.length, artifacts.started.getSizeBytes());
  }

  @Test
  void aPathThatLeadsElsewhereIsNotSent() {
    assertThrows(
        InvalidArgumentException.class,
        () -> registry.uploadFile(VERSION, "../x", file, Progress.Listener.SILENT));
    assertTrue(server.headers.isEmpty());
  }
}
