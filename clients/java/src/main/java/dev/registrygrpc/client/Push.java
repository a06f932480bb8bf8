package dev.registrygrpc.client;

import com.google.protobuf.CodedOutputStream;
import dev.registrygrpc.client.errors.AlreadyExistsException;
import dev.registrygrpc.client.errors.InvalidArgumentException;
import dev.registrygrpc.client.errors.NotFoundException;
import dev.registrygrpc.client.errors.RegistryException;
import dev.registrygrpc.v1.CreateModelRequest;
import dev.registrygrpc.v1.CreateVersionRequest;
import dev.registrygrpc.v1.FinalizeVersionRequest;
import dev.registrygrpc.v1.GetVersionRequest;
import dev.registrygrpc.v1.ListVersionsRequest;
import dev.registrygrpc.v1.ListVersionsResponse;
import dev.registrygrpc.v1.ModelServiceGrpc;
import dev.registrygrpc.v1.ModelVersion;
import dev.registrygrpc.v1.VersionState;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A push of a directory or file, about to be run: hash, find or make the draft, send only what the registry does not
 * hold, freeze.
 *
 * <p>Running the same push again resumes it, or returns what it made: a push is known by its key, the digest of its
 * files and fields, which stands in an annotation of the version. Made by {@link Registry#push(String, Path)}.
 */
public final class Push {
  /** Annotation with the key of the push that made a version. */
  public static final String KEY = "mreg.dev/push-key";

  private static final int NEWEST_SEARCHED = 100;

  /** Finalizing reads the head of every file to find its format. */
  private static final Duration FINALIZE_TIMEOUT = Duration.ofMinutes(5);

  private final Registry registry;
  private final Reference model;
  private final Path source;
  private ModelVersion fields = ModelVersion.getDefaultInstance();
  private Progress.Listener progress = Progress.Listener.SILENT;
  private boolean finalizes = true;
  private boolean makesNew;
  private int threads = 2;

  Push(Registry registry, Reference model, Path source) {
    this.registry = registry;
    this.model = model;
    this.source = source;
  }

  /**
   * What the version is to say of itself; nothing unless given.
   *
   * @param version its settable fields
   * @return this
   */
  public Push fields(ModelVersion version) {
    if (version.containsAnnotations(KEY)) {
      throw new InvalidArgumentException("the annotation " + KEY + " is written by push; leave it out");
    }
    fields = version;
    return this;
  }

  /**
   * Who is told how far it is.
   *
   * @param listener is called from several threads
   * @return this
   */
  public Push progress(Progress.Listener listener) {
    progress = Objects.requireNonNull(listener);
    return this;
  }

  /**
   * Leaves the version a draft: more can be uploaded into it.
   *
   * @return this
   */
  public Push asDraft() {
    finalizes = false;
    return this;
  }

  /**
   * Makes another version also when an equal push made one already. A draft of an equal push is resumed all the same.
   *
   * @return this
   */
  public Push asNew() {
    makesNew = true;
    return this;
  }

  /**
   * How many files are read and sent at a time; 2 unless given. Each needs a few MiB.
   *
   * @param files at least 1
   * @return this
   */
  public Push parallel(int files) {
    if (files < 1) {
      throw new InvalidArgumentException("parallel is " + files + "; it must be at least 1");
    }
    threads = files;
    return this;
  }

  /**
   * Does it. An interrupt ends it; the same push again goes on.
   *
   * @return the version: READY, or DRAFT
   * @throws RegistryException of the class that fits; {@code IntegrityException} when a file changes meanwhile
   */
  public ModelVersion run() {
    List<LocalFile.Hashed> files =
        Parallel.map(LocalTree.collect(source), threads, "mreg-hash", file -> file.hash(progress));
    String digest = Manifest.digest(files.stream().map(LocalFile.Hashed::digest).toList());
    ModelVersion wanted = fields.toBuilder().putAnnotations(KEY, key(digest)).build();
    ModelVersion version = find(wanted).orElseGet(() -> create(wanted));
    if (version.getState() != VersionState.VERSION_STATE_DRAFT) {
      return version;
    }
    new DraftFiles(registry, version.getName(), threads, progress).fill(files);
    // Also those that were not read again because the registry held what they were.
    files.forEach(file -> file.local().requireUnchanged());
    return finalizes ? finalized(version.getName(), digest) : get(version.getName());
  }

  /** Hex SHA-256 over the manifest digest and the fields, whatever the order these were given in. */
  private String key(String digest) {
    ByteArrayOutputStream canonical = new ByteArrayOutputStream();
    try {
      CodedOutputStream output = CodedOutputStream.newInstance(canonical);
      output.useDeterministicSerialization();
      fields.writeTo(output);
      output.flush();
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    }
    MessageDigest hash = Manifest.sha256();
    hash.update(Manifest.bytes(digest + "\n"));
    hash.update(canonical.toByteArray());
    return Manifest.hex(hash);
  }

  /** The version an equal push made or began. */
  private Optional<ModelVersion> find(ModelVersion wanted) {
    String key = wanted.getAnnotationsOrThrow(KEY);
    Stream<ModelVersion> ready = makesNew ? Stream.empty() : newest(VersionState.VERSION_STATE_READY);
    try {
      return Stream.concat(ready, newest(VersionState.VERSION_STATE_DRAFT))
          .filter(version -> version.getAnnotationsOrDefault(KEY, "").equals(key))
          .findFirst();
    } catch (NotFoundException error) {
      if (!error.reason().equals("MODEL_NOT_FOUND")) {
        throw error;
      }
      createModel();
      return Optional.empty();
    }
  }

  private Stream<ModelVersion> newest(VersionState state) {
    ListVersionsRequest request =
        ListVersionsRequest.newBuilder()
            .setParent(model.modelName())
            .addStates(state)
            .setPageSize(NEWEST_SEARCHED)
            .build();
    // Lazily: the second list is asked for only when the first had nothing.
    return registry
        .all(ModelServiceGrpc.getListVersionsMethod(), request, ListVersionsResponse::getVersionsList)
        .stream()
        .limit(NEWEST_SEARCHED);
  }

  private void createModel() {
    CreateModelRequest request =
        CreateModelRequest.newBuilder()
            .setParent("projects/" + model.project())
            .setModelId(model.model())
            .setModel(dev.registrygrpc.v1.Model.getDefaultInstance())
            .build();
    try {
      registry.call(ModelServiceGrpc.getCreateModelMethod(), request);
    } catch (AlreadyExistsException error) {
      // Another push was first, unless the model is there but deleted.
      if (!error.metadata().getOrDefault("softDeleted", "").isEmpty()) {
        throw error;
      }
    }
  }

  private ModelVersion create(ModelVersion wanted) {
    CreateVersionRequest request =
        CreateVersionRequest.newBuilder().setParent(model.modelName()).setVersion(wanted).build();
    return registry.call(ModelServiceGrpc.getCreateVersionMethod(), request);
  }

  private ModelVersion get(String version) {
    return registry.call(
        ModelServiceGrpc.getGetVersionMethod(), GetVersionRequest.newBuilder().setName(version).build());
  }

  private ModelVersion finalized(String version, String digest) {
    FinalizeVersionRequest request =
        FinalizeVersionRequest.newBuilder().setName(version).setManifestDigest(digest).build();
    Duration given = registry.timeout();
    Registry patient = registry.withTimeout(given.compareTo(FINALIZE_TIMEOUT) > 0 ? given : FINALIZE_TIMEOUT);
    return patient.call(ModelServiceGrpc.getFinalizeVersionMethod(), request);
  }
}
