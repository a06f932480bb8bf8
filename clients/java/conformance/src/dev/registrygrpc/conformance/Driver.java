package dev.registrygrpc.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.registrygrpc.client.Registry;
import dev.registrygrpc.client.RegistryBuilder;
import dev.registrygrpc.client.errors.RegistryException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

/** Does the steps of conformance cases through the library and prints what came of each; it compares nothing. */
public final class Driver {
  private Driver() {}

  /**
   * Runs the cases of a file.
   *
   * @param arguments the file
   * @throws Exception when the file cannot be read
   */
  public static void main(String[] arguments) throws Exception {
    JsonObject given = JsonParser.parseString(Files.readString(Path.of(arguments[0]))).getAsJsonObject();
    try (Registry registry = Registry.connect()) {
      for (JsonElement each : given.getAsJsonArray("cases")) {
        run(registry, each.getAsJsonObject());
      }
    }
    System.exit(0);
  }

  private static void run(Registry registry, JsonObject given) {
    Case running = new Case(given.get("name").getAsString());
    JsonArray steps = given.getAsJsonArray("steps");
    try {
      for (int number = 0; number < steps.size(); number++) {
        running.begin(number);
        JsonObject step = running.filled(steps.get(number)).getAsJsonObject();
        JsonObject outcome = attempt(registry, running, step);
        if (step.has("save")) {
          running.save(step.getAsJsonObject("save"), outcome.get("reply"));
        }
        running.tell("outcome", outcome);
      }
    } finally {
      running.close();
    }
  }

  private static JsonObject attempt(Registry registry, Case running, JsonObject step) {
    JsonObject outcome = new JsonObject();
    try {
      Map.Entry<String, Verbs.Verb> verb = Verbs.of(step);
      if (verb == null) {
        outcome.addProperty("defect", "no verb in " + step.keySet());
        return outcome;
      }
      Registry used = step.has("token") || step.has("endpoint") ? other(running, step) : registry;
      outcome.add("reply", verb.getValue().run(timed(used, step), running, step));
    } catch (RegistryException error) {
      outcome.add("error", Told.error(error));
    } catch (Exception defect) {
      StringWriter trace = new StringWriter();
      defect.printStackTrace(new PrintWriter(trace));
      outcome.addProperty("defect", trace.toString());
    }
    return outcome;
  }

  private static Registry timed(Registry registry, JsonObject step) {
    if (!step.has("timeout_ms")) {
      return registry;
    }
    return registry.withTimeout(Duration.ofMillis(step.get("timeout_ms").getAsLong()));
  }

  /** Another client; closed with the case, because a watch of it may be read in later steps. */
  private static Registry other(Case running, JsonObject step) {
    RegistryBuilder builder = Registry.builder();
    if (step.has("endpoint")) {
      builder.endpoint(step.get("endpoint").getAsString());
    }
    if (step.has("token")) {
      builder.token(step.get("token").getAsString());
    }
    Registry made = builder.build();
    running.others.add(made);
    return made;
  }
}
