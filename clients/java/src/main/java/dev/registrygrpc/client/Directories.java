package dev.registrygrpc.client;

import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Directories of versions: compared, made to last, removed. */
final class Directories {
  private static final int READ_BYTES = 1 << 20;

  private Directories() {}

  static boolean isEmpty(Path directory) throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.findAny().isEmpty();
    }
  }

  /** Whether it has these files, every byte as it should be, and no other; links inside count as change. */
  static boolean holdsExactly(Path root, List<FileDigest> files) throws IOException {
    Map<Path, FileDigest> wanted = new HashMap<>();
    files.forEach(file -> wanted.put(root.resolve(file.path()), file));
    List<Path> found;
    try (Stream<Path> entries = Files.walk(root)) {
      found = entries.filter(path -> !Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)).toList();
    }
    if (found.size() != wanted.size()) {
      return false;
    }
    for (Path path : found) {
      if (!wanted.containsKey(path) || !isFileOf(path, wanted.get(path))) {
        return false;
      }
    }
    return true;
  }

  private static boolean isFileOf(Path path, FileDigest file) throws IOException {
    if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS) || Files.size(path) != file.sizeBytes()) {
      return false;
    }
    MessageDigest digest = Manifest.sha256();
    byte[] block = new byte[READ_BYTES];
    try (InputStream stream = Files.newInputStream(path)) {
      for (int count = stream.read(block); count > 0; count = stream.read(block)) {
        digest.update(block, 0, count);
      }
    }
    return Manifest.hex(digest).equals(file.sha256());
  }

  /** Makes a file, or the names in a directory, survive a power cut. */
  static void sync(Path path) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /** Removes a directory of ours and all in it, if it is there. */
  static void remove(Path directory) throws IOException {
    if (!Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    List<Path> all;
    try (Stream<Path> entries = Files.walk(directory)) {
      all = entries.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : all) {
      Files.delete(path);
    }
  }
}
