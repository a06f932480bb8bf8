"""Bugs in proving who calls."""

from __future__ import annotations

from tests.promises.seeded.bugs import Bug, Edit

IDENTITY = "tests/promises/identity/"
CREDENTIALS = f"{IDENTITY}test_hostile_credentials.py"
CERTIFICATES = f"{IDENTITY}test_client_certificates.py"

IDENTITY_BUGS = (
    Bug(
        "an issuer is known by how its name begins",
        "Whoever owns a name that begins with a trusted one signs in anybody.",
        (
            Edit(
                "auth/oidc.py",
                "found = self._issuers.get(name) if isinstance(name, str) else None",
                "found = next((it for url, it in self._issuers.items() if str(name).startswith(url)), None)",
            ),
        ),
        (f"{CREDENTIALS}::test_row_25_an_issuer_that_is_nearly_trusted",),
    ),
    Bug(
        "a token for others is taken",
        "A service that was given a token of somebody comes here as that somebody.",
        (
            Edit(
                "auth/oidc.py",
                "    if not issuer.extra_audiences and set(listed) != {issuer.audience}:",
                "    if False:",
            ),
        ),
        (f"{CREDENTIALS}::test_row_25_a_token_that_is_for_others",),
    ),
    Bug(
        "what a header asks for is passed over",
        "`crit`, `b64` and keys that come along are taken for nothing.",
        (Edit("auth/jwt_text.py", "    if strange:", "    if False:"),),
        (f"{CREDENTIALS}::test_row_23_a_token_that_brings_its_key_or_its_rules_and_nobody_asks_there",),
    ),
    Bug(
        "unknown keys are asked for each time",
        "Made-up key ids turn this server against the issuer.",
        (
            Edit(
                "auth/issuer_keys.py", "            if now - self._unknown_at < UNKNOWN_KEY_S:", "            if False:"
            ),
        ),
        (f"{CREDENTIALS}::test_row_24_a_thousand_unknown_keys_are_at_most_one_read",),
    ),
    Bug(
        "a key signs by any algorithm",
        "An algorithm of one type of key is tried with another type.",
        (Edit("auth/jwks.py", "if token.algorithm in each.algorithms and ", "if "),),
        (f"{CREDENTIALS}::test_row_27_a_signature_of_another_key",),
    ),
    Bug(
        "a certificate counts past its end",
        "A connection that was opened in time is somebody for as long as it lives.",
        (Edit("auth/authenticator.py", "        if certificate.expires <= self._wall():", "        if False:"),),
        (f"{CERTIFICATES}::test_a_certificate_that_ends_while_it_is_connected_ends_its_calls",),
    ),
    Bug(
        "authorities are read at the start only",
        "A new authority is not trusted, and one that was withdrawn still is.",
        (
            Edit(
                "server/certificates.py",
                "self._files.key, *([self._client_ca] if self._client_ca else [])]",
                "self._files.key]",
            ),
        ),
        (f"{CERTIFICATES}::test_certificate_and_authorities_are_rotated_on_disk_while_callers_come",),
    ),
)
