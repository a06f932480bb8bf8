package dev.registrygrpc.client;

import dev.registrygrpc.v1.ResolveRequest;
import dev.registrygrpc.v1.ResolveResponse;
import dev.registrygrpc.v1.ResolveView;
import dev.registrygrpc.v1.StageServiceGrpc;

/** Asks what a reference stands for, and holds the answer against what the reference pins. */
final class Resolution {
  private Resolution() {}

  static ResolveResponse of(Registry registry, Reference reference, ResolveView view) {
    ResolveResponse answer = registry.call(StageServiceGrpc.getResolveMethod(), request(reference, view));
    String pinned = reference.digest().orElse(answer.getManifestDigest());
    if (!pinned.equals(answer.getManifestDigest())) {
      throw Pull.mismatch(
          answer.getVersion() + " has manifest digest " + answer.getManifestDigest() + ", " + reference
              + " pins another; do not load it, and find out who changed the reference or the registry",
          pinned,
          answer.getManifestDigest());
    }
    return answer;
  }

  private static ResolveRequest request(Reference reference, ResolveView view) {
    ResolveRequest.Builder request = ResolveRequest.newBuilder().setName(reference.modelName()).setView(view);
    if (reference.number().isPresent()) {
      return request.setVersion(reference.number().getAsLong()).build();
    }
    if (reference.digest().isPresent()) {
      return request.setManifestDigest(reference.digest().get()).build();
    }
    if (reference.pointer().isPresent()) {
      return request.setReference(reference.pointer().get()).build();
    }
    return request.setAlias("latest").build();
  }
}
