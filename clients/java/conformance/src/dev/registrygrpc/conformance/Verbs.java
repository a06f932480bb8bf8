package dev.registrygrpc.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import dev.registrygrpc.client.ArtifactPaths;
import dev.registrygrpc.client.FileDigest;
import dev.registrygrpc.client.Manifest;
import dev.registrygrpc.client.Pages;
import dev.registrygrpc.client.Progress;
import dev.registrygrpc.client.Push;
import dev.registrygrpc.client.Reference;
import dev.registrygrpc.client.Registry;
import dev.registrygrpc.client.WatchTarget;
import dev.registrygrpc.v1.ModelVersion;
import dev.registrygrpc.v1.ResolveResponse;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What the driver can do. */
final class Verbs {
  private static final Map<String, Verb> ALL = new LinkedHashMap<>();

  static {
    ALL.put("call", Verbs::call);
    ALL.put("all", Verbs::all);
    ALL.put("push", Verbs::push);
    ALL.put("upload", Verbs::upload);
    ALL.put("stream", Verbs::stream);
    ALL.put("pull", Verbs::pull);
    ALL.put("read", Verbs::read);
    ALL.put("resolve", (registry, running, step) -> Told.message(registry.resolve(reference(step, "resolve"))));
    ALL.put("parse", Verbs::parse);
    ALL.put("manifest", Verbs::manifest);
    ALL.put("artifact_id", (r, c, step) -> reply("id", Manifest.artifactId(text(step, "artifact_id"))));
    ALL.put("check_paths", Verbs::checkPaths);
    ALL.put("watch", Verbs::watch);
    ALL.put("changes", Verbs::changes);
    ALL.put("close", Verbs::close);
    ALL.put("wait", Verbs::await);
  }

  /** Does a step. */
  @FunctionalInterface
  interface Verb {
    JsonElement run(Registry registry, Case running, JsonObject step) throws Exception;
  }

  private Verbs() {}

  /** The verb of a step; null for none. */
  static Map.Entry<String, Verb> of(JsonObject step) {
    return ALL.entrySet().stream().filter(entry -> step.has(entry.getKey())).findFirst().orElse(null);
  }

  private static JsonElement call(Registry registry, Case running, JsonObject step) throws Exception {
    Contract.Method method = Contract.method(text(step, "call"));
    return Told.message(registry.call(method.descriptor(), method.request(step)));
  }

  private static JsonElement all(Registry registry, Case running, JsonObject step) throws Exception {
    Contract.Method method = Contract.method(text(step, "all"));
    Pages<Message> pages = registry.all(method.descriptor(), method.request(step), Verbs::items);
    long limit = step.has("limit") ? step.get("limit").getAsLong() : Long.MAX_VALUE;
    JsonArray told = new JsonArray();
    for (Message item : pages.stream().limit(limit).toList()) {
      told.add(Told.message(item));
    }
    JsonObject reply = new JsonObject();
    reply.add("items", told);
    return reply;
  }

  private static List<Message> items(Message page) {
    FieldDescriptor field =
        page.getDescriptorForType().getFields().stream()
            .filter(each -> each.isRepeated() && each.getJavaType() == FieldDescriptor.JavaType.MESSAGE)
            .findFirst()
            .orElseThrow();
    List<Message> found = new ArrayList<>();
    for (int at = 0; at < page.getRepeatedFieldCount(field); at++) {
      found.add((Message) page.getRepeatedField(field, at));
    }
    return found;
  }

  private static JsonElement push(Registry registry, Case running, JsonObject step) throws Exception {
    ModelVersion.Builder fields = ModelVersion.newBuilder();
    if (step.has("version")) {
      JsonFormat.parser().merge(step.get("version").toString(), fields);
    }
    String project = step.has("parent") ? text(step, "parent").replaceFirst("^projects/", "") : "default";
    Push push =
        registry
            .push(project + ":" + text(step, "push"), Path.of(text(step, "path")))
            .fields(fields.build())
            .progress(progress(running, step));
    if (step.has("finalize") && !step.get("finalize").getAsBoolean()) {
      push.asDraft();
    }
    return Told.message(push.run());
  }

  private static Progress.Listener progress(Case running, JsonObject step) {
    boolean isWanted = step.has("progress") && step.get("progress").getAsBoolean();
    return isWanted ? new Reported(running) : Progress.Listener.SILENT;
  }

  private static JsonElement upload(Registry registry, Case running, JsonObject step) throws Exception {
    Path file = Path.of(text(step, "file"));
    return Told.message(registry.uploadFile(text(step, "upload"), text(step, "as"), file, progress(running, step)));
  }

  private static JsonElement stream(Registry registry, Case running, JsonObject step) throws Exception {
    InputStream source = new ByteArrayInputStream(text(step, "text").getBytes(StandardCharsets.UTF_8));
    return Told.message(
        registry.uploadStream(text(step, "stream"), text(step, "as"), source, progress(running, step)));
  }

  private static JsonElement pull(Registry registry, Case running, JsonObject step) {
    Path target = Path.of(text(step, "into"));
    ResolveResponse pulled = registry.pull(reference(step, "pull"), target, progress(running, step));
    JsonObject reply = reply("version", pulled.getVersion());
    reply.addProperty("path", target.toString());
    return reply;
  }

  private static JsonElement read(Registry registry, Case running, JsonObject step) throws Exception {
    long offset = step.has("offset") ? step.get("offset").getAsLong() : 0;
    long length = step.has("length") ? step.get("length").getAsLong() : Long.MAX_VALUE;
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    long size = 0;
    byte[] block = new byte[1 << 16];
    try (InputStream stream = registry.read(text(step, "read"), offset, length)) {
      for (int count = stream.read(block); count >= 0; count = stream.read(block)) {
        digest.update(block, 0, count);
        size += count;
      }
    }
    JsonObject reply = reply("sha256", HexFormat.of().formatHex(digest.digest()));
    reply.addProperty("size", size);
    return reply;
  }

  private static JsonElement parse(Registry registry, Case running, JsonObject step) {
    Reference found = reference(step, "parse");
    JsonObject reply = reply("project", found.project());
    reply.addProperty("model", found.model());
    found.number().ifPresent(number -> reply.addProperty("number", Long.toString(number)));
    found.pointer().ifPresent(pointer -> reply.addProperty("pointer", pointer));
    found.digest().ifPresent(digest -> reply.addProperty("digest", digest));
    found.endpoint().ifPresent(endpoint -> reply.addProperty("endpoint", endpoint));
    return reply;
  }

  private static Reference reference(JsonObject step, String verb) {
    return Reference.parse(
        text(step, verb), step.has("project") ? text(step, "project") : Reference.DEFAULT_PROJECT);
  }

  private static JsonElement manifest(Registry registry, Case running, JsonObject step) {
    List<FileDigest> files = new ArrayList<>();
    for (JsonElement each : step.getAsJsonArray("manifest")) {
      JsonObject file = each.getAsJsonObject();
      files.add(new FileDigest(text(file, "path"), text(file, "sha256"), file.get("size_bytes").getAsLong()));
    }
    return reply("digest", Manifest.digest(files));
  }

  private static JsonElement checkPaths(Registry registry, Case running, JsonObject step) {
    ArtifactPaths.checkLocal(texts(step, "check_paths"));
    return new JsonObject();
  }

  private static JsonElement watch(Registry registry, Case running, JsonObject step) {
    WatchTarget target = WatchTarget.of(text(step, "parent")).types(texts(step, "types")).stages(texts(step, "stages"));
    if (step.has("resume_token")) {
      target = target.from(text(step, "resume_token"));
    }
    if (step.has("state") && step.get("state").getAsBoolean()) {
      target = target.withState();
    }
    running.watches.put(text(step, "watch"), new Following(registry.watch(target)));
    return new JsonObject();
  }

  private static JsonElement changes(Registry registry, Case running, JsonObject step) throws Exception {
    Following following = running.watches.get(text(step, "changes"));
    boolean isLive = step.has("live") && step.get("live").getAsBoolean();
    JsonArray found = new JsonArray();
    for (int count = step.get("count").getAsInt(); count > 0; count--) {
      JsonObject change = Told.change(following.next());
      found.add(change);
      if (isLive) {
        running.tell("change", change);
      }
    }
    JsonObject reply = new JsonObject();
    reply.add("changes", found);
    reply.addProperty("resumeToken", following.token());
    return reply;
  }

  private static JsonElement close(Registry registry, Case running, JsonObject step) {
    running.watches.remove(text(step, "close")).close();
    return new JsonObject();
  }

  private static JsonElement await(Registry registry, Case running, JsonObject step) throws Exception {
    running.tell("waiting", step.get("wait"));
    for (int read = System.in.read(); read >= 0 && read != '\n'; read = System.in.read()) {
      continue;
    }
    return new JsonObject();
  }

  private static String text(JsonObject step, String key) {
    return step.get(key).getAsString();
  }

  private static List<String> texts(JsonObject step, String key) {
    List<String> found = new ArrayList<>();
    if (step.has(key)) {
      step.getAsJsonArray(key).forEach(each -> found.add(each.getAsString()));
    }
    return found;
  }

  private static JsonObject reply(String key, String value) {
    JsonObject reply = new JsonObject();
    reply.addProperty(key, value);
    return reply;
  }
}
