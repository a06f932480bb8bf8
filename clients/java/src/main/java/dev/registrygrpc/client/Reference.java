package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.InvalidArgumentException;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A reference people type: {@code fraud}, {@code fraud/7}, {@code fraud@production}, {@code team:fraud/7@sha256:…},
 * {@code mreg://host:port/team/fraud}.
 *
 * <p>At most one of number (perhaps with digest), digest and pointer selects.
 */
public final class Reference {
  /** Project of a reference that names none. */
  public static final String DEFAULT_PROJECT = "default";

  private static final int MAX_SHOWN_CHARS = 200;
  private static final String ID = "[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?";
  private static final String POINTER = "[a-z](?:[a-z0-9._-]{0,61}[a-z0-9])?";
  private static final String NUMBER = "[1-9][0-9]{0,17}";
  private static final String TAIL =
      "(?<model>" + ID + ")(?:/(?<number>" + NUMBER + "))?"
          + "(?:@(?:(?<digest>sha256:[0-9a-f]{64})|(?<pointer>" + POINTER + ")))?";
  private static final Pattern SHORT = Pattern.compile("(?:(?<project>" + ID + "):)?" + TAIL);
  private static final Pattern URI =
      Pattern.compile(
          "mreg://(?:(?<host>\\[[0-9a-f:.]+\\]|[A-Za-z0-9.-]+):(?<port>[0-9]{1,5})/)?(?<project>" + ID + ")/" + TAIL);
  private static final Pattern NAME =
      Pattern.compile(
          "projects/(?<project>" + ID + ")/models/(?<model>" + ID + ")(?:/versions/(?<number>" + NUMBER + "))?");

  private final String project;
  private final String model;
  private final Long number;
  private final String digest;
  private final String pointer;
  private final String endpoint;

  private Reference(String project, String model, String number, String digest, String pointer, String endpoint) {
    this.project = project;
    this.model = model;
    this.number = number == null ? null : Long.valueOf(number);
    this.digest = digest;
    this.pointer = pointer;
    this.endpoint = endpoint;
  }

  /**
   * The reference a text stands for, in the project {@code default} unless it names another.
   *
   * @param text as people type it
   * @return the reference
   * @throws InvalidArgumentException with the accepted forms, when it is none
   */
  public static Reference parse(String text) {
    return parse(text, DEFAULT_PROJECT);
  }

  /**
   * The reference a text stands for.
   *
   * @param text as people type it
   * @param defaultProject project when it names none
   * @return the reference
   * @throws InvalidArgumentException with the accepted forms, when it is none
   */
  public static Reference parse(String text, String defaultProject) {
    Matcher match = (text.startsWith("mreg://") ? URI : SHORT).matcher(text);
    if (!match.matches() || (match.group("number") != null && match.group("pointer") != null)) {
      throw noReference(text);
    }
    String project = match.group("project") == null ? defaultProject : match.group("project");
    String host = match.pattern() == URI ? match.group("host") : null;
    return new Reference(
        project,
        match.group("model"),
        match.group("number"),
        match.group("digest"),
        match.group("pointer"),
        host == null ? null : host + ":" + match.group("port"));
  }

  private static InvalidArgumentException noReference(String text) {
    int length = text.codePointCount(0, text.length());
    String shown =
        length <= MAX_SHOWN_CHARS ? text : text.substring(0, text.offsetByCodePoints(0, MAX_SHOWN_CHARS)) + "…";
    return new InvalidArgumentException(
        "'" + shown + "' is not a reference; write model, model/7, model@production or model/7@sha256:…, each"
            + " optionally after `project:`, or mreg://project/model…");
  }

  /**
   * The reference for the resource name of a model or version.
   *
   * @param name perhaps such a name
   * @return the reference; empty when it is no such name
   */
  public static Optional<Reference> ofName(String name) {
    Matcher match = NAME.matcher(name);
    if (!match.matches()) {
      return Optional.empty();
    }
    return Optional.of(
        new Reference(match.group("project"), match.group("model"), match.group("number"), null, null, null));
  }

  static void requireId(String project) {
    if (!Pattern.matches(ID, project)) {
      throw new InvalidArgumentException(
          "project '" + project + "' is no valid id: lower-case letters, digits, '.', '_' and '-'");
    }
  }

  /**
   * Id of the project.
   *
   * @return the id
   */
  public String project() {
    return project;
  }

  /**
   * Id of the model.
   *
   * @return the id
   */
  public String model() {
    return model;
  }

  /**
   * Number of the version.
   *
   * @return the number; empty when another part selects, or nothing
   */
  public OptionalLong number() {
    return number == null ? OptionalLong.empty() : OptionalLong.of(number);
  }

  /**
   * Manifest digest, {@code sha256:…}: with a number it is checked, alone it selects.
   *
   * @return the digest
   */
  public Optional<String> digest() {
    return Optional.ofNullable(digest);
  }

  /**
   * Stage or alias id; a stage wins.
   *
   * @return the id
   */
  public Optional<String> pointer() {
    return Optional.ofNullable(pointer);
  }

  /**
   * {@code host:port}, only of a URI that names one.
   *
   * @return the endpoint
   */
  public Optional<String> endpoint() {
    return Optional.ofNullable(endpoint);
  }

  /**
   * Resource name of the model.
   *
   * @return {@code projects/{project}/models/{model}}
   */
  public String modelName() {
    return "projects/" + project + "/models/" + model;
  }

  /**
   * Resource name of the version.
   *
   * @return {@code projects/{project}/models/{model}/versions/{number}}
   * @throws InvalidArgumentException without a number
   */
  public String versionName() {
    if (number == null) {
      throw new InvalidArgumentException("'" + this + "' names no version; write " + model + "/NUMBER");
    }
    return modelName() + "/versions/" + number;
  }

  @Override
  public String toString() {
    String what = digest != null ? digest : pointer;
    return (project.equals(DEFAULT_PROJECT) ? "" : project + ":")
        + model
        + (number == null ? "" : "/" + number)
        + (what == null ? "" : "@" + what);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Reference that
        && toString().equals(that.toString())
        && endpoint().equals(that.endpoint());
  }

  @Override
  public int hashCode() {
    return toString().hashCode();
  }
}
