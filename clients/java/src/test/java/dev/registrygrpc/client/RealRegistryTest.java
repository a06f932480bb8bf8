package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.registrygrpc.client.errors.AlreadyExistsException;
import dev.registrygrpc.client.errors.ConflictException;
import dev.registrygrpc.client.errors.NotFoundException;
import dev.registrygrpc.client.errors.UnauthenticatedException;
import dev.registrygrpc.v1.CreateProjectRequest;
import dev.registrygrpc.v1.Framework;
import dev.registrygrpc.v1.ListVersionsRequest;
import dev.registrygrpc.v1.ListVersionsResponse;
import dev.registrygrpc.v1.ModelServiceGrpc;
import dev.registrygrpc.v1.ModelVersion;
import dev.registrygrpc.v1.Project;
import dev.registrygrpc.v1.ProjectServiceGrpc;
import dev.registrygrpc.v1.PromoteVersionRequest;
import dev.registrygrpc.v1.StageServiceGrpc;
import dev.registrygrpc.v1.VersionState;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Against the registry that MREG_ENDPOINT and MREG_TOKEN name; without them every test fails. */
@Timeout(180)
class RealRegistryTest {
  private final String project = "java-" + UUID.randomUUID().toString().substring(0, 8);
  private Registry registry;
  @TempDir Path directory;

  @BeforeEach
  void start() throws IOException {
    registry = connect(endpoint());
    registry.call(
        ProjectServiceGrpc.getCreateProjectMethod(),
        CreateProjectRequest.newBuilder()
            .setProjectId(project)
            .setProject(Project.newBuilder().setDisplayName("of a test"))
            .build());
    Files.createDirectories(directory.resolve("out/weights"));
    Files.writeString(directory.resolve("out/config.json"), "{}");
    Files.writeString(directory.resolve("out/twin.json"), "{}");
    Files.createFile(directory.resolve("out/empty"));
    write("out/weights/model.bin", 3_000_000);
  }

  private void write(String path, int size) throws IOException {
    byte[] content = new byte[size];
    new Random().nextBytes(content);
    Files.write(directory.resolve(path), content);
  }

  @AfterEach
  void stop() {
    if (registry != null) {
      registry.close();
    }
  }

  static String endpoint() {
    return Objects.requireNonNull(
        System.getenv("MREG_ENDPOINT"), "MREG_ENDPOINT and MREG_TOKEN must name a running registry");
  }

  private Registry connect(String endpoint) {
    return Registry.builder().endpoint(endpoint).project(project).build();
  }

  private ModelVersion push() {
    return registry.push("fraud", directory.resolve("out")).fields(fields()).run();
  }

  private static ModelVersion fields() {
    return ModelVersion.newBuilder()
        .setAlgorithm("gradient boosting")
        .setFramework(Framework.newBuilder().setName("scikit-learn").setVersion("1.5.2"))
        .putTags("team", "risk")
        .build();
  }

  private void promote(ModelVersion version, String stage) {
    registry.call(
        StageServiceGrpc.getPromoteVersionMethod(),
        PromoteVersionRequest.newBuilder().setName(version.getName()).setStage(stage).build());
  }

  @Test
  void whatIsPushedIsPulled() throws IOException {
    ModelVersion version = push();
    assertEquals(VersionState.VERSION_STATE_READY, version.getState());
    assertEquals("risk", version.getTagsOrThrow("team"));
    promote(version, "staging");
    promote(version, "production");
    Path target = directory.resolve("pulled");
    assertEquals(version.getName(), registry.pull("fraud@production", target).getVersion());
    for (String path : List.of("config.json", "twin.json", "empty", "weights/model.bin")) {
      assertEquals(-1, Files.mismatch(directory.resolve("out").resolve(path), target.resolve(path)), path);
    }
    String location = registry.resolve("fraud").getLocation();
    assertEquals(version.getManifestDigest(), registry.resolve(location).getManifestDigest());
  }

  @Test
  void theSamePushAgainIsTheSameVersion() throws IOException {
    ModelVersion first = push();
    assertEquals(first.getName(), push().getName());
    ModelVersion forced = registry.push("fraud", directory.resolve("out")).fields(fields()).asNew().run();
    assertNotEquals(first.getName(), forced.getName());
    Files.writeString(directory.resolve("out/config.json"), "{\"a\": 1}");
    List<Progress> sent = new ArrayList<>();
    ModelVersion second =
        registry.push("fraud", directory.resolve("out")).fields(fields()).progress(synced(sent)).run();
    assertNotEquals(first.getName(), second.getName());
    assertEquals(
        List.of("config.json"),
        sent.stream().filter(each -> each.phase() == Progress.Phase.UPLOAD).map(Progress::path).distinct().toList());
  }

  private static Progress.Listener synced(List<Progress> told) {
    return progress -> {
      synchronized (told) {
        told.add(progress);
      }
    };
  }

  @Test
  void aDraftTakesFilesAndStreams() throws IOException {
    ModelVersion draft = registry.push("fraud", directory.resolve("out/config.json")).asDraft().run();
    assertEquals(VersionState.VERSION_STATE_DRAFT, draft.getState());
    Path file = directory.resolve("out/weights/model.bin");
    registry.uploadFile("fraud/" + draft.getNumber(), "a/model.bin", file, Progress.Listener.SILENT);
    String name =
        registry
            .uploadStream(draft.getName(), "b.txt", new ByteArrayInputStream("hällo".getBytes("UTF-8")), p -> {})
            .getName();
    assertEquals(draft.getName() + "/artifacts/" + Manifest.artifactId("b.txt"), name);
    try (InputStream stream = registry.read(name)) {
      assertEquals("hällo", new String(stream.readAllBytes(), "UTF-8"));
    }
    String other = draft.getName() + "/artifacts/" + Manifest.artifactId("a/model.bin");
    try (InputStream stream = registry.read(other, 5, 7)) {
      byte[] all = Files.readAllBytes(file);
      assertArrayEquals(java.util.Arrays.copyOfRange(all, 5, 12), stream.readAllBytes());
    }
  }

  @Test
  void listsGoOnOverPages() {
    for (int count = 0; count < 5; count++) {
      registry.push("fraud", directory.resolve("out")).asNew().run();
    }
    ListVersionsRequest request =
        ListVersionsRequest.newBuilder().setParent("projects/" + project + "/models/fraud").setPageSize(2).build();
    assertEquals(
        List.of(5L, 4L, 3L, 2L, 1L),
        registry
            .all(ModelServiceGrpc.getListVersionsMethod(), request, ListVersionsResponse::getVersionsList)
            .stream()
            .map(ModelVersion::getNumber)
            .toList());
  }

  @Test
  void errorsHaveTheirClassAndReason() {
    assertEquals("MODEL_NOT_FOUND", assertThrows(NotFoundException.class, () -> registry.resolve("nope")).reason());
    CreateProjectRequest again =
        CreateProjectRequest.newBuilder().setProjectId(project).setProject(Project.getDefaultInstance()).build();
    assertThrows(
        AlreadyExistsException.class,
        () -> registry.call(ProjectServiceGrpc.getCreateProjectMethod(), again));
    ModelVersion version = push();
    PromoteVersionRequest request =
        PromoteVersionRequest.newBuilder()
            .setName(version.getName())
            .setStage("staging")
            .setExpectedVersion(17)
            .build();
    var conflict =
        assertThrows(
            ConflictException.class, () -> registry.call(StageServiceGrpc.getPromoteVersionMethod(), request));
    assertEquals("STAGE_MOVED", conflict.reason());
    try (Registry stranger = Registry.builder().endpoint(endpoint()).token("nobody").build()) {
      assertThrows(UnauthenticatedException.class, stranger::serverInfo);
    }
  }

  @Test
  void aCutUploadGoesOn() throws Exception {
    write("out/weights/model.bin", 48 << 20);
    AtomicBoolean cut = new AtomicBoolean();
    try (CuttingProxy proxy = new CuttingProxy(endpoint());
        Registry through = connect(proxy.endpoint())) {
      List<Long> sent = new ArrayList<>();
      Progress.Listener cuts =
          progress -> {
            if (progress.phase() == Progress.Phase.UPLOAD && progress.path().endsWith("model.bin")) {
              sent.add(progress.doneBytes());
              if (progress.doneBytes() > 40 << 20 && cut.compareAndSet(false, true)) {
                proxy.cut();
              }
            }
          };
      ModelVersion version = through.push("fraud", directory.resolve("out")).progress(cuts).run();
      assertTrue(cut.get());
      assertTrue(sent.get(sent.lastIndexOf(48L << 20) - 1) > 0);
      assertTrue(sent.stream().filter(bytes -> bytes <= 16 << 20).count() <= 16, "it did not begin at the first byte");
      proxy.cutAfter(30 << 20);
      through.pull("fraud/" + version.getNumber(), directory.resolve("pulled"));
      assertTrue(proxy.wasCut());
    }
    assertEquals(
        -1,
        Files.mismatch(directory.resolve("out/weights/model.bin"), directory.resolve("pulled/weights/model.bin")));
  }

  @Test
  void aWatchMissesNothingWhenItIsCut() throws Exception {
    push();
    BlockingQueue<Change> came = new LinkedBlockingQueue<>();
    WatchTarget target = WatchTarget.of("fraud").types(List.of("ModelVersion")).withState();
    try (CuttingProxy proxy = new CuttingProxy(endpoint());
        Registry through = connect(proxy.endpoint());
        Watch watch = through.watch(target).listen(came::add)) {
      while (next(came).kind() != Change.Kind.SYNCED) {
        continue;
      }
      List<Long> numbers = new ArrayList<>();
      for (int count = 0; count < 6; count++) {
        registry.push("fraud", directory.resolve("out")).asNew().run();
        proxy.cut();
      }
      while (numbers.size() < 12) {
        Change change = next(came);
        numbers.add(change.event().orElseThrow().getVersion().getNumber());
      }
      assertEquals(List.of(2L, 2L, 3L, 3L, 4L, 4L, 5L, 5L, 6L, 6L, 7L, 7L), numbers);
      goesOn(watch.resumeToken());
    }
  }

  private void goesOn(String token) throws Exception {
    try (Watch other = registry.watch(WatchTarget.of("fraud").types(List.of("Stage")).from(token))) {
      promote(push(), "staging");
      assertTrue(other.next().event().orElseThrow().getName().contains("/models/fraud/stages/"));
    }
  }

  private static Change next(BlockingQueue<Change> came) throws InterruptedException {
    return Objects.requireNonNull(came.poll(30, TimeUnit.SECONDS), "no change came");
  }
}
