package dev.registrygrpc.client;

import dev.registrygrpc.v1.Artifact;
import dev.registrygrpc.v1.ArtifactAttachment;
import dev.registrygrpc.v1.ArtifactServiceGrpc;
import dev.registrygrpc.v1.AttachArtifactsRequest;
import dev.registrygrpc.v1.CancelUploadRequest;
import dev.registrygrpc.v1.Digest;
import dev.registrygrpc.v1.FindMissingArtifactsRequest;
import dev.registrygrpc.v1.ListArtifactsRequest;
import dev.registrygrpc.v1.ListArtifactsResponse;
import dev.registrygrpc.v1.ListUploadsRequest;
import dev.registrygrpc.v1.ListUploadsResponse;
import dev.registrygrpc.v1.Upload;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** Brings files into a draft: attaches what the project holds, sends the rest. */
final class DraftFiles {
  private static final int MAX_PER_CALL = 1000;

  private final Registry registry;
  private final String version;
  private final int threads;
  private final Progress.Listener progress;

  DraftFiles(Registry registry, String version, int threads, Progress.Listener progress) {
    this.registry = registry;
    this.version = version;
    this.threads = threads;
    this.progress = progress;
  }

  /** Afterwards the draft has these files. */
  void fill(List<LocalFile.Hashed> files) {
    Map<String, String> present = present();
    List<LocalFile.Hashed> wanted =
        files.stream().filter(file -> !sha256(file).equals(present.get(file.digest().path()))).toList();
    Set<String> missing = missing(wanted);
    Map<String, LocalFile.Hashed> toSend = new LinkedHashMap<>();
    List<LocalFile.Hashed> twins = new ArrayList<>();
    for (LocalFile.Hashed file : wanted) {
      if (missing.contains(sha256(file)) && toSend.putIfAbsent(sha256(file), file) != null) {
        twins.add(file);
      }
    }
    // First what is held: it is kept for an hour only, and sending may take longer.
    attach(wanted.stream().filter(file -> !missing.contains(sha256(file))).toList());
    List<LocalFile.Hashed> sent = List.copyOf(toSend.values());
    // An upload of an earlier run that is of no use would keep the version from being finalized.
    send(sent, openUploads(sent, upload -> true));
    attach(twins);
  }

  /** Sends one file, going on with an upload of it that is open. Uploads of other paths are left alone. */
  Artifact send(LocalFile.Hashed file) {
    List<LocalFile.Hashed> one = List.of(file);
    return send(one, openUploads(one, upload -> upload.getPath().equals(file.digest().path()))).get(0);
  }

  private List<Artifact> send(List<LocalFile.Hashed> files, Map<String, Upload> open) {
    if (files.isEmpty()) {
      return List.of();
    }
    return Parallel.map(
        files,
        threads,
        "mreg-upload",
        file -> new FileUpload(registry.connection(), version, file, progress).run(open.get(file.digest().path())));
  }

  private Map<String, String> present() {
    ListArtifactsRequest request =
        ListArtifactsRequest.newBuilder().setParent(version).setPageSize(Pages.LARGE).build();
    Map<String, String> found = new HashMap<>();
    registry
        .all(ArtifactServiceGrpc.getListArtifactsMethod(), request, ListArtifactsResponse::getArtifactsList)
        .forEach(artifact -> found.put(artifact.getPath(), artifact.getDigest().getSha256()));
    return found;
  }

  /** SHA-256 of the bytes the project does not hold. */
  private Set<String> missing(List<LocalFile.Hashed> files) {
    List<Digest> asked = files.stream().map(DraftFiles::digest).distinct().toList();
    String project = version.substring(0, version.indexOf("/models/"));
    Set<String> missing = new HashSet<>();
    for (List<Digest> part : parts(asked)) {
      FindMissingArtifactsRequest request =
          FindMissingArtifactsRequest.newBuilder().setParent(project).addAllDigests(part).build();
      registry
          .call(ArtifactServiceGrpc.getFindMissingArtifactsMethod(), request)
          .getMissingList()
          .forEach(digest -> missing.add(digest.getSha256()));
    }
    return missing;
  }

  /** Uploads of an earlier run to go on with, by path; of those that are ours the others are cancelled. */
  private Map<String, Upload> openUploads(List<LocalFile.Hashed> files, Predicate<Upload> ours) {
    Map<String, FileDigest> wanted =
        files.stream().collect(Collectors.toMap(file -> file.digest().path(), LocalFile.Hashed::digest));
    ListUploadsRequest request =
        ListUploadsRequest.newBuilder()
            .setParent(version)
            .setPageSize(Pages.LARGE)
            .addStates(Upload.State.STATE_ACTIVE)
            .addStates(Upload.State.STATE_FINALIZING)
            .build();
    Map<String, Upload> usable = new HashMap<>();
    List<Upload> losers = new ArrayList<>();
    registry
        .all(ArtifactServiceGrpc.getListUploadsMethod(), request, ListUploadsResponse::getUploadsList)
        .stream()
        .filter(ours)
        .forEach(upload -> losers.add(loser(upload, wanted.get(upload.getPath()), usable)));
    losers.stream()
        .filter(loser -> loser != null && loser.getState() == Upload.State.STATE_ACTIVE)
        .forEach(this::cancel);
    return usable;
  }

  /** Takes the upload up when it is the furthest of its file; returns what is of no use then. */
  private static Upload loser(Upload upload, FileDigest wanted, Map<String, Upload> usable) {
    boolean fits =
        wanted != null
            && upload.getSha256().equals(wanted.sha256())
            && upload.getSizeBytes() == wanted.sizeBytes();
    Upload best = usable.get(upload.getPath());
    boolean isFurthest = best == null || upload.getPersistedSize() > best.getPersistedSize();
    return fits && isFurthest ? usable.put(upload.getPath(), upload) : upload;
  }

  private void cancel(Upload upload) {
    CancelUploadRequest request = CancelUploadRequest.newBuilder().setName(upload.getName()).build();
    registry.call(ArtifactServiceGrpc.getCancelUploadMethod(), request);
  }

  private void attach(List<LocalFile.Hashed> files) {
    for (List<LocalFile.Hashed> part : parts(files)) {
      AttachArtifactsRequest.Builder request = AttachArtifactsRequest.newBuilder().setParent(version);
      for (LocalFile.Hashed file : part) {
        request.addAttachments(
            ArtifactAttachment.newBuilder().setPath(file.digest().path()).setDigest(digest(file)));
      }
      registry.call(ArtifactServiceGrpc.getAttachArtifactsMethod(), request.build());
    }
    for (LocalFile.Hashed file : files) {
      long size = file.digest().sizeBytes();
      progress.on(new Progress(Progress.Phase.ATTACH, file.digest().path(), size, size));
    }
  }

  private static String sha256(LocalFile.Hashed file) {
    return file.digest().sha256();
  }

  private static Digest digest(LocalFile.Hashed file) {
    return Digest.newBuilder().setSha256(sha256(file)).setSizeBytes(file.digest().sizeBytes()).build();
  }

  private static <T> List<List<T>> parts(List<T> all) {
    List<List<T>> made = new ArrayList<>();
    for (int start = 0; start < all.size(); start += MAX_PER_CALL) {
      made.add(all.subList(start, Math.min(all.size(), start + MAX_PER_CALL)));
    }
    return made;
  }
}
