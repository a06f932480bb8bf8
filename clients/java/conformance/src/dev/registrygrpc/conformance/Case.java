package dev.registrygrpc.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.registrygrpc.client.Registry;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One case as it is run: its variables, its watches, and what it prints. */
final class Case {
  private static final Pattern VARIABLE = Pattern.compile("\\$\\{([^}]+)\\}");
  private static final DateTimeFormatter MICROSECONDS =
      DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);

  final Map<String, Following> watches = new HashMap<>();
  final List<Registry> others = new ArrayList<>();
  private final Map<String, JsonElement> variables = new HashMap<>();
  private final String name;
  private int step;

  Case(String name) {
    this.name = name;
  }

  void close() {
    watches.values().forEach(Following::close);
    others.forEach(Registry::close);
  }

  void begin(int number) {
    step = number;
  }

  /** Prints one line about the step that runs. Transfers tell of themselves from several threads. */
  void tell(String what, JsonElement value) {
    JsonObject line = new JsonObject();
    line.addProperty("case", name);
    line.addProperty("step", step);
    line.add(what, value);
    synchronized (System.out) {
      System.out.println(Told.line(line));
      System.out.flush();
    }
  }

  /** The value with its variables replaced. */
  JsonElement filled(JsonElement value) {
    if (value.isJsonObject()) {
      JsonObject made = new JsonObject();
      value.getAsJsonObject().entrySet().forEach(entry -> made.add(entry.getKey(), filled(entry.getValue())));
      return made;
    }
    if (value.isJsonArray()) {
      JsonArray made = new JsonArray();
      value.getAsJsonArray().forEach(each -> made.add(filled(each)));
      return made;
    }
    boolean isText = value.isJsonPrimitive() && value.getAsJsonPrimitive().isString();
    return isText ? filled(value.getAsString()) : value;
  }

  private JsonElement filled(String text) {
    Matcher match = VARIABLE.matcher(text);
    if (match.matches()) {
      return value(match);
    }
    return new JsonPrimitive(
        VARIABLE.matcher(text).replaceAll(found -> Matcher.quoteReplacement(text(value(found)))));
  }

  private JsonElement value(java.util.regex.MatchResult found) {
    if (found.group(1).equals("now")) {
      return new JsonPrimitive(MICROSECONDS.format(Instant.now()));
    }
    return variables.getOrDefault(found.group(1), new JsonPrimitive(found.group()));
  }

  private static String text(JsonElement value) {
    return value.isJsonPrimitive() ? value.getAsString() : value.toString();
  }

  /** Keeps values of a reply; one that is not there is not kept. */
  void save(JsonObject wanted, JsonElement reply) {
    for (Map.Entry<String, JsonElement> entry : wanted.entrySet()) {
      JsonElement value = reply;
      for (String key : entry.getValue().getAsString().split("\\.")) {
        value = value == null ? null : inside(value, key);
      }
      if (value != null) {
        variables.put(entry.getKey(), value);
      }
    }
  }

  private static JsonElement inside(JsonElement value, String key) {
    if (value.isJsonObject()) {
      return value.getAsJsonObject().get(key);
    }
    boolean isIndex = value.isJsonArray() && key.matches("\\d{1,9}");
    return isIndex && Integer.parseInt(key) < value.getAsJsonArray().size()
        ? value.getAsJsonArray().get(Integer.parseInt(key))
        : null;
  }
}
