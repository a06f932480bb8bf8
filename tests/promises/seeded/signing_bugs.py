"""Bugs of signatures."""

from __future__ import annotations

from tests.promises.seeded.bugs import Bug, Edit

HOSTILE = "tests/unit/test_signing_hostile.py::"

SIGNING_BUGS = (
    Bug(
        "files that were not signed are excused",
        "What a bundle leaves out, or ignores, can be anything, and the version counts as signed.",
        (Edit("domain/signing/statement.py", "set(files) - set(signed)", "set()"),),
        (f"{HOSTILE}test_what_is_signed_but_not_this_version_fails[71 ignore_paths hiding a file]",),
    ),
    Bug(
        "of two equal keys the last one counts",
        "A bundle says one thing to us and another to the next reader.",
        (Edit("domain/signing/bundle.py", "                twice.append(key)\n", "                pass\n"),),
        (f"{HOSTILE}test_72_keys_that_come_twice_fail_wherever_they_are",),
    ),
    Bug(
        "the identity in a certificate is not asked for",
        "Whoever has any certificate of the authority signs for everybody.",
        (Edit("domain/signing/judging.py", "signer.certificate_identity not in names", "not names"),),
        (f"{HOSTILE}test_the_identity_is_compared_as_a_whole[uri:spiffe://ci/-untrusted]",),
    ),
    Bug(
        "a signer that is trusted no more still counts",
        "A key that was stolen stays good for what it signed.",
        (Edit("storage/sql/signatures.py", "row.trusted_uid is None", "False"),),
        ("tests/contract/store/test_evidence.py::test_a_signature_counts_while_its_signer_does[sqlite]",),
    ),
)
