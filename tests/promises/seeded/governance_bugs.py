"""Bugs of governance: one edit each, and the proofs that should notice."""

from __future__ import annotations

from tests.promises.seeded.bugs import Bug, Edit

_HOSTILE = "tests/promises/governance/test_hostile.py"
_STORE = "tests/contract/store/test_governance.py"

GOVERNANCE_BUGS = (
    Bug(
        "an approval outlives a change of the policy",
        "What was said yes to is not what is in force when the version moves.",
        (Edit("domain/promotion.py", "        if self.policies != present.policies:", "        if False:"),),
        (f"{_HOSTILE}::test_an_approval_from_before_a_change_promotes_nothing[sqlite+directory-policy]",),
    ),
    Bug(
        "whoever sent bytes of a version approves it",
        "One person makes a version and lets it into production.",
        (
            Edit(
                "usecases/governance/gate.py",
                "frozenset({request.creator, version.creator, *version.contributors})",
                "frozenset({request.creator})",
            ),
        ),
        (f"{_HOSTILE}::test_what_one_made_or_sent_is_not_approved[sqlite+directory-uploaded]",),
    ),
    Bug(
        "a role is not looked at again when the version moves",
        "Whoever may not decide any more still counts.",
        (
            Edit(
                "domain/promotion.py",
                "    if approver is None or not approver.may_approve:",
                "    if approver is None:",
            ),
        ),
        (f"{_HOSTILE}::test_a_revoked_role_neither_counts_nor_decides[sqlite+directory]",),
    ),
    Bug(
        "roles are not held while approvals are counted",
        "A role that is taken away meanwhile still lets a version in, at a later revision.",
        (
            Edit(
                "usecases/governance/gate.py",
                "with_request=with_request, hold=unit.access.lock",
                "with_request=with_request",
            ),
        ),
        ("tests/promises/governance/test_races.py::test_a_role_is_not_taken_away_between_the_count_and_the_move",),
    ),
    Bug(
        "a rollback goes round the policies",
        "What the policy in force forbids comes back to production.",
        (
            Edit(
                "usecases/governance/gate.py",
                "if not (attempt.rollback and policy.fast_rollback)",
                "if not attempt.rollback",
            ),
        ),
        (
            "tests/e2e/test_governance.py::test_a_rollback_passes_the_same_gates_unless_the_policy_names_a_fast_path[sqlite+directory]",
        ),
    ),
    Bug(
        "a freeze is not looked at",
        "A frozen stage moves.",
        (
            Edit(
                "usecases/governance/gate.py",
                "        if each is not None and each.freeze is not None:",
                "        if False:",
            ),
        ),
        ("tests/e2e/test_governance.py::test_nothing_moves_in_or_out_of_a_frozen_stage[sqlite+directory]",),
    ),
    Bug(
        "glass breaks without a sound",
        "Nobody who watches learns that the policies were passed by.",
        (
            Edit(
                "usecases/moving.py",
                "        if broken:\n            self.unit.record(Action.BROKE_GLASS, after)\n",
                "",
            ),
        ),
        (
            "tests/e2e/test_governance.py::test_break_glass_needs_its_own_permission_a_reason_and_is_loud[sqlite+directory]",
        ),
    ),
    Bug(
        "a rejection dies with a change of the policy",
        "A no is talked away by touching the policy.",
        (Edit("domain/promotion.py", '    if each.decision is Decision.REJECTED:\n        return ""\n', ""),),
        (f"{_STORE}::test_a_rejection_outlives_every_change[sqlite]",),
    ),
    Bug(
        "deletion and undeletion go round the policies",
        "A version comes back to a stage that is guarded by now.",
        (
            Edit(
                "usecases/deletion.py",
                "            if stage and _is_gated(unit, model, stage):",
                "            if False:",
            ),
        ),
        (f"{_STORE}::test_a_version_comes_back_from_deletion_outside_of_a_guarded_stage[sqlite]",),
    ),
)
