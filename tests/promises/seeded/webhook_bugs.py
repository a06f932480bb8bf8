"""Bugs of webhooks."""

from __future__ import annotations

from tests.promises.seeded.bugs import Bug, Edit

DELIVERING = "tests/promises/webhooks/test_delivering.py::"
SENDING = "tests/promises/webhooks/test_sending.py::"

WEBHOOK_BUGS = (
    Bug(
        "deliveries do not wait for each other",
        "While the receiver is down every event of a model is tried, and they arrive in any order.",
        (
            Edit(
                "storage/sql/deliveries.py",
                "    .limit(1)\n    .scalar_subquery()\n",
                "    .scalar_subquery()\n",
            ),
            Edit("storage/sql/deliveries.py", "table.c.id == _HEAD", "table.c.id.in_(_HEAD)"),
            Edit("storage/sql/deliveries.py", "        ~_STANDS_BEHIND,\n", ""),
        ),
        (f"{DELIVERING}test_a_receiver_that_was_down_for_an_hour_gets_all_of_it_in_order[sqlite]",),
    ),
    Bug(
        "whoever comes late settles a delivery all the same",
        "A worker that was given up for dead writes over what the next one did.",
        (Edit("storage/sql/deliveries.py", ', table.c.claim == bindparam("claimed")', ""),),
        (f"{DELIVERING}test_whoever_comes_late_changes_nothing[sqlite]",),
    ),
    Bug(
        "the name is resolved once more to connect",
        "A name that leads elsewhere the second time is checked at one address and connected to at another.",
        (
            Edit(
                "webhooks/sending.py",
                "                        str(address),\n",
                "                        target.host,\n",
            ),
        ),
        (f"{SENDING}test_what_was_resolved_is_what_is_connected_to",),
    ),
    Bug(
        "a redirect counts as success",
        "What a receiver never took is called delivered.",
        (Edit("webhooks/sending.py", "_SUCCESS = range(200, 300)", "_SUCCESS = range(200, 400)"),),
        (f"{SENDING}test_a_redirect_is_not_followed",),
    ),
)
