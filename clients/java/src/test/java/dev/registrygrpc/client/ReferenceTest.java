package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.registrygrpc.client.errors.InvalidArgumentException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ReferenceTest {
  private static final String DIGEST = "sha256:" + "0123456789abcdef".repeat(4);

  @Test
  void theShortFormsAreRead() {
    Reference pinned = Reference.parse("team:fraud/7@" + DIGEST);
    assertEquals("team", pinned.project());
    assertEquals("fraud", pinned.model());
    assertEquals(7, pinned.number().getAsLong());
    assertEquals(DIGEST, pinned.digest().orElseThrow());
    assertEquals("projects/team/models/fraud/versions/7", pinned.versionName());
    assertEquals("production", Reference.parse("fraud@production").pointer().orElseThrow());
    assertEquals("risk", Reference.parse("fraud", "risk").project());
  }

  @Test
  void aUriMayNameAnEndpoint() {
    assertEquals("[::1]:7470", Reference.parse("mreg://[::1]:7470/team/fraud@x").endpoint().orElseThrow());
    assertTrue(Reference.parse("mreg://team/fraud").endpoint().isEmpty());
  }

  @Test
  void whatIsPrintedIsReadAgain() {
    for (String text : new String[] {"fraud", "fraud/7", "team:fraud@production", "team:fraud/7@" + DIGEST}) {
      assertEquals(text, Reference.parse(text).toString());
      assertEquals(Reference.parse(text), Reference.parse(Reference.parse(text).toString()));
    }
  }

  @Test
  void resourceNamesAreReferencesToo() {
    assertEquals("team:fraud/7", Reference.ofName("projects/team/models/fraud/versions/7").orElseThrow().toString());
    assertTrue(Reference.ofName("projects/team").isEmpty());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "", "A", "fraud/0", "fraud/7@production", "fraud@", "fraud@7x", "a:b:c", "mreg://fraud", "fraud\n", "-a"
      })
  void whatIsNoReferenceIsRefused(String text) {
    assertThrows(InvalidArgumentException.class, () -> Reference.parse(text));
  }

  @Test
  void aLongTextIsShownShort() {
    var error = assertThrows(InvalidArgumentException.class, () -> Reference.parse("É".repeat(10_000)));
    assertTrue(error.getMessage().length() < 500, error.getMessage());
  }
}
