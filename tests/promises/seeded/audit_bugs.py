"""Bugs of the audit trail, and the proofs that should notice."""

from __future__ import annotations

from tests.promises.seeded.bugs import Bug, Edit

_TAMPERING = "tests/promises/audit/test_tampering.py"
_CHECKPOINTS = "tests/promises/audit/test_checkpoints.py"
_E2E = "tests/e2e/test_audit.py"

AUDIT_BUGS = (
    Bug(
        "an entry is not held against its leaf",
        "What people read can be edited, as long as the leaf stays.",
        (
            Edit(
                "domain/audit.py",
                'if field != "changes" and getattr(entry, field) != getattr(sealed, field):',
                'if field == "number" and getattr(entry, field) != getattr(sealed, field):',
            ),
        ),
        (f"{_TAMPERING}::test_one_edited_column_of_one_row_is_found_and_named",),
    ),
    Bug(
        "a cut trail passes",
        "Whoever drops the last entries, and every checkpoint over them in the database, is not found out.",
        (Edit("domain/audit_check.py", "    if waiting:\n", "    if waiting and not entries:\n"),),
        (f"{_TAMPERING}::test_a_dropped_tail_is_found_and_named",),
    ),
    Bug(
        "whatever is there is signed",
        "The registry itself vouches for a history that was rewritten.",
        (
            Edit(
                "usecases/audit_checkpoints.py",
                "        self._require_untouched(last)\n",
                "",
            ),
        ),
        (
            f"{_TAMPERING}::test_a_rewritten_history_is_not_signed_by_the_registry_itself",
            f"{_TAMPERING}::test_a_history_rewritten_under_the_checkpoint_is_not_signed_either",
        ),
    ),
    Bug(
        "nodes are hashed as leaves are",
        "Two trees have one head, and nobody else's verifier takes our proofs.",
        (
            Edit(
                "domain/merkle.py", 'hashlib.sha256(b"\\x01" + left + right)', 'hashlib.sha256(b"\\x00" + left + right)'
            ),
        ),
        (
            f"{_CHECKPOINTS}::test_go_accepts_our_checkpoints_and_proofs_and_no_others",
            "tests/e2e/test_audit_proofs.py::test_go_accepts_what_the_server_signs_and_proves",
        ),
    ),
    Bug(
        "checkpoints are in the database alone",
        "Whoever may write to the database can forget that anything was signed.",
        (Edit("usecases/audit_checkpoints.py", "        self._keep(made)\n", ""),),
        (f"{_CHECKPOINTS}::test_the_note_lies_in_the_artifact_store",),
    ),
    Bug(
        "invalid requests leave no entry",
        "Somebody who tries out what the server takes is not seen.",
        (
            Edit(
                "server/interceptors/calls.py",
                "_UNTOLD = frozenset({",
                "_UNTOLD = frozenset({Reason.INVALID_FIELD, Reason.INVALID_RESOURCE_NAME, ",
            ),
        ),
        (f"{_E2E}::test_every_refused_change_of_a_proven_caller_is_told",),
    ),
    Bug(
        "what a write read is not remembered",
        "The trail tells what is there now, and of most changes not what was.",
        (Edit("storage/sql/unit.py", "if name not in _UNSEEN:", 'if name == "projects":'),),
        ("tests/promises/audit/test_changes.py::test_each_before_is_the_after_that_was_told_last",),
    ),
    Bug(
        "secrets are told as changes",
        "Whoever may read the audit trail may call as others.",
        (
            Edit(
                "storage/sql/changes.py",
                " if field.name not in codec.without | _SILENT)",
                " if field.name not in _SILENT)",
            ),
        ),
        (f"{_E2E}::test_no_secret_is_in_the_trail",),
    ),
)
