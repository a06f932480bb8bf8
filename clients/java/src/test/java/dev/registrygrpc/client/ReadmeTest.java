package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReadmeTest {
  private static final Pattern EXAMPLE = Pattern.compile("```java\\n(.*?)```", Pattern.DOTALL);
  private static final Pattern VERSION = Pattern.compile("<version>(.*?)</version>");

  @TempDir Path directory;

  @Test
  void theExamplesOfTheReadmeCompile() throws Exception {
    Matcher match = EXAMPLE.matcher(Files.readString(Path.of("README.md")));
    List<Path> files = new ArrayList<>();
    while (match.find()) {
      String name = "Example" + files.size();
      String source =
          "import dev.registrygrpc.client.*; import dev.registrygrpc.client.errors.*; import dev.registrygrpc.v1.*;\n"
              + "import java.nio.file.Path;\n"
              + "abstract class " + name + " { abstract void log(Object... all);\n"
              + (files.isEmpty() ? "void run() {\n" : "void run(Registry registry) {\n")
              + match.group(1) + "}}";
      files.add(Files.writeString(directory.resolve(name + ".java"), source));
    }
    assertEquals(2, files.size());
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    DiagnosticCollector<JavaFileObject> found = new DiagnosticCollector<>();
    try (StandardJavaFileManager manager = compiler.getStandardFileManager(found, null, null)) {
      List<String> options = List.of("-d", directory.toString(), "-cp", classPath());
      compiler.getTask(null, manager, found, options, null, manager.getJavaFileObjectsFromPaths(files)).call();
    }
    assertEquals("", found.getDiagnostics().stream().map(Object::toString).collect(Collectors.joining("\n")));
  }

  private static String classPath() {
    return System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
  }

  @Test
  void thereIsOneVersion() throws Exception {
    Matcher pom = VERSION.matcher(Files.readString(Path.of("pom.xml")));
    Matcher readme = VERSION.matcher(Files.readString(Path.of("README.md")));
    assertEquals(true, pom.find() && readme.find());
    assertEquals(Registry.VERSION, pom.group(1));
    assertEquals(Registry.VERSION, readme.group(1));
    String python = Files.readString(Path.of("../../src/registry_grpc/__init__.py"));
    assertEquals(true, python.contains("__version__ = \"" + Registry.VERSION + "\""), python);
  }
}
