package dev.registrygrpc.examples;

import dev.registrygrpc.client.FileDigest;
import dev.registrygrpc.client.Manifest;
import dev.registrygrpc.client.Progress;
import dev.registrygrpc.client.Reference;
import dev.registrygrpc.client.Registry;
import dev.registrygrpc.client.errors.IntegrityException;
import dev.registrygrpc.client.errors.NotFoundException;
import dev.registrygrpc.client.errors.RegistryException;
import dev.registrygrpc.v1.ResolveResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/**
 * A batch job that begins with a model: it fetches what a reference stands for, checks the files on disk against the
 * pinned digest, and says what it did. {@code PullJob fraud@production ./model}
 *
 * <p>Run again it fetches nothing, checks, and says so. Exit codes are those of {@code mreg}: 3 not found, 7 not what
 * it should be, 1 for anything else.
 */
public final class PullJob {
  private final Registry registry;
  private final PrintStream out;
  private final Map<String, Long> fetched = new ConcurrentHashMap<>();

  private PullJob(Registry registry, PrintStream out) {
    this.registry = registry;
    this.out = out;
  }

  /**
   * The job as a program.
   *
   * @param arguments a reference and a directory
   */
  public static void main(String[] arguments) {
    System.exit(run(arguments, System.out, System.err));
  }

  static int run(String[] arguments, PrintStream out, PrintStream err) {
    if (arguments.length != 2) {
      err.println("usage: PullJob REFERENCE DIRECTORY");
      return 2;
    }
    try (Registry registry = Registry.connect()) {
      new PullJob(registry, out).run(arguments[0], Path.of(arguments[1]));
      return 0;
    } catch (NotFoundException error) {
      err.println(error.getMessage());
      return 3;
    } catch (IntegrityException error) {
      err.println(error.getMessage());
      return 7;
    } catch (RegistryException | IOException error) {
      err.println(error.getMessage());
      return 1;
    }
  }

  private void run(String text, Path directory) throws IOException {
    Reference reference = registry.reference(text);
    ResolveResponse version = registry.pull(reference, directory, this::note);
    long bytes = fetched.values().stream().mapToLong(Long::longValue).sum();
    out.printf("%s is version %d%n", reference, version.getVersionNumber());
    out.printf("fetched %d files, %d bytes%n", fetched.size(), bytes);
    verify(directory, version.getManifestDigest());
    out.printf("verified %d files, %d bytes%n", version.getFileCount(), version.getTotalSizeBytes());
    if (version.getYanked()) {
      out.println("this version was yanked: choose another soon");
    }
    // The last line pins what ran: whoever runs the job again with it gets the same bytes, or an error.
    out.println(version.getLocation());
  }

  private void note(Progress progress) {
    if (progress.phase() == Progress.Phase.DOWNLOAD) {
      fetched.put(progress.path(), progress.doneBytes());
    }
  }

  /** The pull checked what it fetched; this checks what the job is going to read. */
  private static void verify(Path directory, String pinned) throws IOException {
    List<FileDigest> files = new ArrayList<>();
    try (Stream<Path> found = Files.walk(directory)) {
      for (Path file : found.filter(Files::isRegularFile).toList()) {
        String path = directory.relativize(file).toString().replace('\\', '/');
        files.add(new FileDigest(path, sha256(file), Files.size(file)));
      }
    }
    String actual = Manifest.digest(files);
    if (!actual.equals(pinned)) {
      throw new IntegrityException(directory + " holds " + actual + ", not " + pinned);
    }
  }

  private static String sha256(Path file) throws IOException {
    try (InputStream stream = Files.newInputStream(file)) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] block = new byte[1 << 16];
      for (int count = stream.read(block); count > 0; count = stream.read(block)) {
        digest.update(block, 0, count);
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }
}
