package dev.registrygrpc.conformance;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import com.google.rpc.ErrorDetailsProto;
import dev.registrygrpc.client.Change;
import dev.registrygrpc.client.errors.RegistryException;

/** What the protocol of the drivers makes of messages, errors and changes. */
final class Told {
  private static final Gson GSON = new GsonBuilder().disableHtmlEscaping().serializeNulls().create();

  /** What may be inside an Any: the details of errors. */
  private static final JsonFormat.Printer PRINTER =
      JsonFormat.printer()
          .usingTypeRegistry(
              JsonFormat.TypeRegistry.newBuilder().add(ErrorDetailsProto.getDescriptor().getMessageTypes()).build());

  private Told() {}

  static String line(JsonElement value) {
    return GSON.toJson(value);
  }

  /** Canonical proto JSON. */
  static JsonElement message(MessageOrBuilder message) throws InvalidProtocolBufferException {
    return JsonParser.parseString(PRINTER.print(message));
  }

  static JsonObject error(RegistryException error) {
    JsonObject told = new JsonObject();
    told.addProperty("kind", kind(error));
    told.addProperty("code", error.code().name());
    told.addProperty("reason", error.reason());
    JsonObject metadata = new JsonObject();
    error.metadata().forEach(metadata::addProperty);
    told.add("metadata", metadata);
    JsonArray violations = new JsonArray();
    error.violations().forEach(each -> {
      JsonObject violation = new JsonObject();
      violation.addProperty("subject", each.subject());
      violation.addProperty("description", each.description());
      violations.add(violation);
    });
    told.add("violations", violations);
    told.addProperty("retryAfter", error.retryAfter().isPresent());
    return told;
  }

  /** The name of the class, but for three that have another name in Java. */
  private static String kind(RegistryException error) {
    String name = error.getClass().getSimpleName().replaceFirst("Exception$", "");
    return switch (name) {
      case "Integrity", "Internal", "Registry" -> name + "Error";
      default -> name;
    };
  }

  static JsonObject change(Change change) {
    JsonObject told = new JsonObject();
    told.addProperty("kind", change.kind().name());
    told.addProperty("revision", Long.toString(change.revision()));
    change.event().ifPresent(event -> {
      told.addProperty("type", event.getResourceType());
      told.addProperty("action", event.getAction().name().replaceFirst("^EVENT_ACTION_", ""));
      told.addProperty("resource", event.getName());
    });
    return told;
  }
}
