package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.Failure;
import dev.registrygrpc.client.errors.FailedPreconditionException;
import dev.registrygrpc.client.errors.IntegrityException;
import dev.registrygrpc.v1.Artifact;
import dev.registrygrpc.v1.ArtifactServiceGrpc;
import dev.registrygrpc.v1.ListArtifactsRequest;
import dev.registrygrpc.v1.ListArtifactsResponse;
import dev.registrygrpc.v1.ResolveResponse;
import io.grpc.Status;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** One pull of a resolved version: fetch, check everything, appear whole or not at all. */
final class Pull {
  private static final int THREADS = 4;

  private final Registry registry;
  private final Progress.Listener progress;

  Pull(Registry registry, Progress.Listener progress) {
    this.registry = registry;
    this.progress = progress;
  }

  /** Afterwards {@code target} holds exactly the files of the version. */
  void run(ResolveResponse version, Path target) {
    List<Artifact> artifacts = list(version);
    List<FileDigest> files = artifacts.stream().map(Pull::digest).toList();
    if (isDone(target, files)) {
      return;
    }
    Path made = target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID());
    try {
      Files.createDirectories(target.getParent());
      Files.createDirectory(made);
      try {
        fetchAll(artifacts, made);
        Directories.sync(made);
        // Over an empty directory too, which is then replaced in one step.
        Files.move(made, target, StandardCopyOption.ATOMIC_MOVE);
        Directories.sync(target.getParent());
      } finally {
        Directories.remove(made);
      }
    } catch (IOException error) {
      throw FileFaults.unwritable(target, error);
    }
  }

  private List<Artifact> list(ResolveResponse version) {
    List<Artifact> listed = version.getArtifactsList();
    if (listed.size() != version.getFileCount()) {
      ListArtifactsRequest request =
          ListArtifactsRequest.newBuilder().setParent(version.getVersion()).setPageSize(Pages.LARGE).build();
      listed =
          registry
              .all(ArtifactServiceGrpc.getListArtifactsMethod(), request, ListArtifactsResponse::getArtifactsList)
              .stream()
              .toList();
    }
    List<FileDigest> files = listed.stream().map(Pull::digest).toList();
    ArtifactPaths.checkServed(files);
    String found = Manifest.digest(files);
    if (!found.equals(version.getManifestDigest())) {
      throw mismatch(
          "the files of " + version.getVersion() + " give manifest digest " + found + ", not "
              + version.getManifestDigest() + "; nothing was written; tell whoever runs the registry",
          version.getManifestDigest(),
          found);
    }
    return listed;
  }

  /** Whether the target already holds exactly this version. Files of others are never touched. */
  private static boolean isDone(Path target, List<FileDigest> files) {
    try {
      if (Files.isDirectory(target) && !Files.isSymbolicLink(target)) {
        if (Directories.isEmpty(target)) {
          return false;
        }
        if (Directories.holdsExactly(target, files)) {
          return true;
        }
      } else if (!Files.exists(target) && !Files.isSymbolicLink(target)) {
        return false;
      }
    } catch (IOException error) {
      throw FileFaults.unwritable(target, error);
    }
    throw new FailedPreconditionException(
        target + " is not empty and not this version; choose a new directory or remove it");
  }

  /** Equal bytes are fetched once. */
  private void fetchAll(List<Artifact> artifacts, Path made) throws IOException {
    Map<String, Artifact> first = new LinkedHashMap<>();
    artifacts.forEach(artifact -> first.putIfAbsent(artifact.getDigest().getSha256(), artifact));
    Collection<Artifact> wanted = first.values();
    try (Connection connection = registry.connection().another()) {
      Parallel.map(List.copyOf(wanted), THREADS, "mreg-download", artifact -> fetch(connection, artifact, made));
    }
    for (Artifact artifact : artifacts) {
      Artifact fetched = first.get(artifact.getDigest().getSha256());
      if (fetched != artifact) {
        Path path = made.resolve(artifact.getPath());
        Files.createDirectories(path.getParent());
        Files.copy(made.resolve(fetched.getPath()), path);
        Directories.sync(path);
      }
    }
  }

  private Path fetch(Connection connection, Artifact artifact, Path made) {
    Path path = made.resolve(artifact.getPath());
    long size = artifact.getDigest().getSizeBytes();
    MessageDigest digest = Manifest.sha256();
    try {
      Files.createDirectories(path.getParent());
      try (FileOutputStream file = new FileOutputStream(path.toFile());
          ArtifactChunks chunks = new ArtifactChunks(connection, artifact, 0, size)) {
        for (byte[] content = chunks.next(); content != null; content = chunks.next()) {
          digest.update(content);
          file.write(content);
          progress.on(new Progress(Progress.Phase.DOWNLOAD, artifact.getPath(), chunks.offset(), size));
        }
        file.getFD().sync();
      }
    } catch (IOException error) {
      throw FileFaults.unwritable(path, error);
    }
    String found = Manifest.hex(digest);
    if (!found.equals(artifact.getDigest().getSha256())) {
      throw mismatch(
          "the bytes of " + artifact.getPath() + " hash to " + found + ", not " + artifact.getDigest().getSha256()
              + "; nothing was kept",
          artifact.getDigest().getSha256(),
          found);
    }
    return path;
  }

  static IntegrityException mismatch(String message, String expected, String actual) {
    return new IntegrityException(
        Failure.of(Status.Code.DATA_LOSS, message)
            .because("DIGEST_MISMATCH", Map.of("expected", expected, "actual", actual)));
  }

  private static FileDigest digest(Artifact artifact) {
    return new FileDigest(artifact.getPath(), artifact.getDigest().getSha256(), artifact.getDigest().getSizeBytes());
  }
}
