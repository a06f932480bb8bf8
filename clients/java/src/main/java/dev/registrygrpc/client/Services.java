package dev.registrygrpc.client;

import com.google.api.AnnotationsProto;
import com.google.api.HttpRule;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.MethodDescriptor;
import com.google.protobuf.Message;
import dev.registrygrpc.v1.AccessServiceGrpc;
import dev.registrygrpc.v1.ArtifactServiceGrpc;
import dev.registrygrpc.v1.AuditServiceGrpc;
import dev.registrygrpc.v1.CatalogueServiceGrpc;
import dev.registrygrpc.v1.DeploymentServiceGrpc;
import dev.registrygrpc.v1.EventServiceGrpc;
import dev.registrygrpc.v1.EvidenceServiceGrpc;
import dev.registrygrpc.v1.GovernanceServiceGrpc;
import dev.registrygrpc.v1.LineageServiceGrpc;
import dev.registrygrpc.v1.ModelServiceGrpc;
import dev.registrygrpc.v1.ProjectServiceGrpc;
import dev.registrygrpc.v1.ServerServiceGrpc;
import dev.registrygrpc.v1.StageServiceGrpc;
import dev.registrygrpc.v1.WebhookServiceGrpc;
import io.grpc.ServiceDescriptor;
import io.grpc.protobuf.ProtoMethodDescriptorSupplier;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/** What the contract says of its methods: which are retried, which change something. */
final class Services {
  private static final List<ServiceDescriptor> ALL =
      List.of(
          AccessServiceGrpc.getServiceDescriptor(),
          ArtifactServiceGrpc.getServiceDescriptor(),
          AuditServiceGrpc.getServiceDescriptor(),
          CatalogueServiceGrpc.getServiceDescriptor(),
          DeploymentServiceGrpc.getServiceDescriptor(),
          EventServiceGrpc.getServiceDescriptor(),
          EvidenceServiceGrpc.getServiceDescriptor(),
          GovernanceServiceGrpc.getServiceDescriptor(),
          LineageServiceGrpc.getServiceDescriptor(),
          ModelServiceGrpc.getServiceDescriptor(),
          ProjectServiceGrpc.getServiceDescriptor(),
          ServerServiceGrpc.getServiceDescriptor(),
          StageServiceGrpc.getServiceDescriptor(),
          WebhookServiceGrpc.getServiceDescriptor());

  /** POST only because the request is too large for a URL, or the answer a secret. */
  private static final Set<String> READS_BY_POST =
      Set.of(
          "BatchResolve",
          "FindMissingArtifacts",
          "GetLineage",
          "SelectBest",
          "SignArtifactUrl",
          "TestPermissions");

  private Services() {}

  /**
   * The gRPC service config: unary calls are retried while UNAVAILABLE; that is safe by their request_id. Streams are
   * not: gRPC would replay the part it still buffers. They are resumed where they stood instead.
   */
  static Map<String, ?> serviceConfig() {
    List<Map<String, String>> retried =
        ALL.stream()
            .flatMap(service -> service.getMethods().stream())
            .filter(method -> method.getType() == io.grpc.MethodDescriptor.MethodType.UNARY)
            .map(method -> Map.of("service", method.getServiceName(), "method", method.getBareMethodName()))
            .toList();
    Map<String, ?> policy =
        Map.of(
            "maxAttempts", 5.0,
            "initialBackoff", "0.1s",
            "maxBackoff", "2s",
            "backoffMultiplier", 2.0,
            "retryableStatusCodes", List.of("UNAVAILABLE"));
    return Map.of(
        "loadBalancingConfig", List.of(Map.of("round_robin", Map.of())),
        "methodConfig", List.of(Map.of("name", retried, "retryPolicy", policy)));
  }

  /** Whether a method changes nothing; one of another contract (health) counts as a read. */
  static boolean isRead(io.grpc.MethodDescriptor<?, ?> method) {
    if (!(method.getSchemaDescriptor() instanceof ProtoMethodDescriptorSupplier supplier)) {
      return true;
    }
    MethodDescriptor described = supplier.getMethodDescriptor();
    if (described.isClientStreaming()) {
      return false;
    }
    HttpRule rule = described.getOptions().getExtension(AnnotationsProto.http);
    return rule.getPatternCase() == HttpRule.PatternCase.GET
        || rule.getPatternCase() == HttpRule.PatternCase.PATTERN_NOT_SET
        || READS_BY_POST.contains(described.getName());
  }

  /** The request with a request_id, so that it can be sent again safely; as it is when it has one, or no such field. */
  @SuppressWarnings("unchecked") // a builder builds what it was made from
  static <Q> Q identified(Q request) {
    if (!(request instanceof Message message)) {
      return request;
    }
    FieldDescriptor field = message.getDescriptorForType().findFieldByName("request_id");
    if (field == null || !((String) message.getField(field)).isEmpty()) {
      return request;
    }
    return (Q) message.toBuilder().setField(field, UUID.randomUUID().toString()).build();
  }
}
