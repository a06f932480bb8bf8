package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.InvalidArgumentException;
import dev.registrygrpc.client.errors.OutOfRangeException;
import dev.registrygrpc.v1.Artifact;
import dev.registrygrpc.v1.ArtifactServiceGrpc;
import dev.registrygrpc.v1.GetArtifactRequest;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;

/** Sends and reads single files of versions. */
final class OneFile {
  private final Registry registry;

  OneFile(Registry registry) {
    this.registry = registry;
  }

  Artifact upload(String version, String path, Path source, Progress.Listener progress) {
    ArtifactPaths.checkLocal(List.of(path));
    LocalFile.Hashed file = LocalFile.of(path, source).hash(progress);
    return new DraftFiles(registry, versionName(version), 1, progress).send(file);
  }

  Artifact upload(String version, String path, InputStream source, Progress.Listener progress) throws IOException {
    ArtifactPaths.checkLocal(List.of(path));
    Path copy = Files.createTempFile("mreg-upload-", "");
    try {
      Files.copy(source, copy, StandardCopyOption.REPLACE_EXISTING);
      return upload(version, path, copy, progress);
    } finally {
      Files.deleteIfExists(copy);
    }
  }

  InputStream read(String artifact, long offset, long length) {
    if (offset < 0 || length < 0) {
      throw new InvalidArgumentException("offset " + offset + " and length " + length + ": neither may be negative");
    }
    GetArtifactRequest request = GetArtifactRequest.newBuilder().setName(artifact).build();
    Artifact found = registry.call(ArtifactServiceGrpc.getGetArtifactMethod(), request);
    long size = found.getDigest().getSizeBytes();
    if (offset > size) {
      throw new OutOfRangeException(
          "offset " + offset + " is beyond the end of " + found.getPath() + ", which has " + size + " bytes");
    }
    long end = offset + Math.min(length, size - offset);
    return new ArtifactInputStream(registry.connection().another(), found, offset, end);
  }

  /** A number is taken as it is: it may be that of a draft. */
  private String versionName(String text) {
    Reference found = registry.reference(text);
    boolean isNumber = found.number().isPresent() && found.digest().isEmpty();
    return isNumber ? found.versionName() : registry.resolve(found).getVersion();
  }
}
