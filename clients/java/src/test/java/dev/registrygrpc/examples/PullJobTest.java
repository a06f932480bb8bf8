package dev.registrygrpc.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.registrygrpc.client.Registry;
import dev.registrygrpc.v1.CreateProjectRequest;
import dev.registrygrpc.v1.ModelVersion;
import dev.registrygrpc.v1.Project;
import dev.registrygrpc.v1.ProjectServiceGrpc;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The example as a user runs it, against the registry that MREG_ENDPOINT and MREG_TOKEN name. */
@Timeout(60)
class PullJobTest {
  private final String project = "job-" + UUID.randomUUID().toString().substring(0, 8);
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private ModelVersion version;
  @TempDir Path directory;

  @BeforeEach
  void push() throws IOException {
    assertNotNull(System.getenv("MREG_ENDPOINT"), "MREG_ENDPOINT and MREG_TOKEN must name a running registry");
    Path source = Files.createDirectory(directory.resolve("source"));
    Files.writeString(source.resolve("model.bin"), "weights");
    Files.writeString(source.resolve("config.json"), "{}");
    try (Registry registry = Registry.connect()) {
      registry.call(
          ProjectServiceGrpc.getCreateProjectMethod(),
          CreateProjectRequest.newBuilder().setProjectId(project).setProject(Project.getDefaultInstance()).build());
      version = registry.push(project + ":fraud", source).run();
    }
  }

  private int run(String reference) {
    out.reset();
    return PullJob.run(
        new String[] {reference, directory.resolve("model").toString()},
        new PrintStream(out, true, StandardCharsets.UTF_8),
        new PrintStream(err, true, StandardCharsets.UTF_8));
  }

  private List<String> lines() {
    return out.toString(StandardCharsets.UTF_8).lines().toList();
  }

  @Test
  void itFetchesVerifiesAndSaysWhatItDid() {
    assertEquals(0, run(project + ":fraud@development"), () -> err.toString(StandardCharsets.UTF_8));
    String pinned = "mreg://" + project + "/fraud/1@" + version.getManifestDigest();
    assertEquals(
        List.of(
            project + ":fraud@development is version 1",
            "fetched 2 files, 9 bytes",
            "verified 2 files, 9 bytes",
            pinned),
        lines());
    assertEquals(0, run(pinned));
    assertTrue(lines().contains("fetched 0 files, 0 bytes"));
  }

  @Test
  void itSaysWhatIsMissing() {
    assertEquals(3, run(project + ":fraud@nobody"));
    assertEquals(2, PullJob.run(new String[0], System.out, new PrintStream(err)));
  }

  @Test
  void itTouchesNoFilesOfOthers() throws IOException {
    Files.createDirectory(directory.resolve("model"));
    Files.writeString(directory.resolve("model/mine"), "x");
    assertEquals(1, run(project + ":fraud"));
  }
}
