"""The bugs: one edit each of the product, and the proofs that should notice."""

from __future__ import annotations

from dataclasses import dataclass

WRITES = "tests/promises/writes/"
UPLOADS = "tests/promises/uploads/"


@dataclass(frozen=True)
class Edit:
    """One place under `src/registry_grpc`, which must occur exactly once, and what it becomes."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Bug:
    """A bug by its edits."""

    name: str
    breaks: str
    edits: tuple[Edit, ...]
    proofs: tuple[str, ...]


BUGS = (
    Bug(
        "events are numbered by a sequence",
        "A number is shown before its change is: followers pass over it, and a rollback leaves a gap.",
        (
            Edit(
                "storage/sql/journal.py",
                "    row = session.lock(statements.advance, {})\n",
                "    with session.connection.engine.begin() as other:\n"
                "        row = other.execute(statements.advance).first()\n",
            ),
        ),
        (f"{WRITES}test_history.py::test_the_log_explains_all_that_clients_of_two_replicas_saw_under_faults",),
    ),
    Bug(
        "the end of a stream completes the upload",
        "A stream that was cut looks like one that ended: a file is committed that nobody finished.",
        (
            Edit(
                "services/uploads.py",
                "            return opened.upload\n        except",
                "            if stream._received == opened.upload.size_bytes and opened.upload.store_upload:\n"
                "                sha256 = stream._session._hash.hexdigest()\n"
                '                said = {"sha256": sha256, "size_bytes": stream._received}\n'
                "                done = artifacts_pb2.WriteUploadRequest(digest=said)\n"
                "                return await self._finish(stream, done)\n"
                "            return opened.upload\n        except",
            ),
        ),
        (
            "tests/e2e/test_uploads.py::test_the_end_of_a_stream_without_finish_leaves_the_upload_active",
            f"{UPLOADS}test_aborts.py::test_twenty_streams_that_end_without_finish_write_commit_nothing",
        ),
    ),
    Bug(
        "the reply goes out before the commit",
        "What was acknowledged is gone when the server dies in between.",
        (
            Edit(
                "storage/sql/sqlite_writer.py",
                '        failpoint("write.commit.before")\n        self._connection',
                "        for each in group:\n            each.answer()\n"
                '        failpoint("write.commit.before")\n        self._connection',
            ),
            Edit(
                "storage/sql/sqlite_writer.py",
                "                for each in group:\n                    each.answer()\n",
                "                pass\n",
            ),
        ),
        (f"{WRITES}test_crashes.py::test_a_server_killed_within_a_write_loses_nothing_acknowledged_and_keeps_no_half",),
    ),
    Bug(
        "an object key is used again",
        "Two uploads write to one object: the second changes what the first committed, or cannot be completed.",
        (
            Edit(
                "usecases/uploads.py",
                "        key = self.ids.object_key()\n",
                '        key = f"{wanted.version.number:032x}"\n        key = f"{key[:2]}/{key}"\n',
            ),
        ),
        (
            "tests/e2e/test_uploads_dedupe.py::test_two_uploads_of_the_same_new_bytes_both_commit_and_one_copy_is_kept",
            "tests/e2e/test_uploads_resume.py::test_a_newer_writer_supersedes_the_open_one_and_the_bytes_are_intact",
        ),
    ),
    Bug(
        "resumed uploads are not read back",
        "Parts that changed between two streams become a file with other bytes.",
        (
            Edit(
                "usecases/upload_completion.py",
                "                self._require_stored(digest)\n",
                "                pass\n",
            ),
        ),
        (
            (
                f"{UPLOADS}test_rot.py::"
                "test_a_stored_part_that_changed_between_two_streams_is_found_when_the_file_is_read_back"
            ),
        ),
    ),
    Bug(
        "SQLite runs with synchronous=NORMAL",
        "The last acknowledged changes are gone after a power cut.",
        (Edit("storage/sql/sqlite.py", '"synchronous=FULL"', '"synchronous=NORMAL"'),),
        (f"{WRITES}test_durability.py::test_each_acknowledged_change_was_synced_to_the_log_of_the_database",),
    ),
    Bug(
        "no compare-and-swap",
        "Of two who promote at once, the second undoes the first without having seen it.",
        (
            Edit(
                "domain/stages.py",
                "    if expected is not None and pointer.number != expected:",
                "    if etag or expected is not None:\n        return\n    if expected is not None:",
            ),
        ),
        (f"{WRITES}test_movers.py",),
    ),
    Bug(
        "answers are not kept for a retry",
        "A call that is repeated because its reply was lost takes effect twice.",
        (
            Edit(
                "storage/sql/store.py",
                "            journal.remember(session, call, call.encode(value), unit.revision)\n",
                "            pass\n",
            ),
        ),
        (
            (
                f"{WRITES}test_retries.py::"
                # One of sixty mutations: with this bug each of them waits ten seconds for its answer to be kept.
                "test_a_mutation_whose_reply_was_dropped_takes_effect_once_and_answers_as_it_would_have"
                "[postgresql+minio-ModelService.CreateVersion]"
            ),
        ),
    ),
    Bug(
        "an older writer is not refused",
        "A writer that was cut off and comes back mixes its bytes with those of its successor.",
        (Edit("usecases/uploads.py", "    if row.epoch != mine.epoch:", "    if False:"),),
        (
            f"{UPLOADS}test_aborts.py::test_of_an_old_writer_and_a_new_one_with_other_bytes_only_one_ever_wins",
            f"{UPLOADS}test_replicas.py::test_an_upload_is_resumed_on_the_other_replica_and_the_first_writer_is_refused",
        ),
    ),
    Bug(
        "blocks are handed out unverified",
        "A flipped byte in the store is served as good.",
        (Edit("storage/artifacts/verifying.py", "        if digest.digest() != known:", "        if not known:"),),
        (f"{UPLOADS}test_rot.py::test_rot_in_the_directory_is_data_loss_for_whole_and_ranged_reads",),
    ),
    Bug(
        "a stalled feed counts as fresh",
        "Resolve answers from a projection that nobody keeps up to date.",
        (
            Edit(
                "watch/feed.py",
                "        return self._revision if time.monotonic() - self._heard <= self._max_staleness_s else None\n",
                "        return self._revision\n",
            ),
        ),
        (f"{WRITES}test_outages.py::test_while_the_feed_is_stalled_resolve_asks_the_database_and_is_never_stale",),
    ),
    Bug(
        "lost commits are told on",
        "After a failover that lost the last commits a server goes on with what it read of them, for good.",
        (
            Edit(
                "watch/feed.py",
                "            if head < after or (newest and not _is_there(reader, head, newest)):\n",
                "            if False:\n",
            ),
        ),
        (
            f"{WRITES}test_lost_commits.py::test_a_server_that_read_what_is_lost_ends_and_does_not_go_on_telling_it",
            f"{WRITES}test_lost_commits.py::test_a_server_ends_too_when_others_have_passed_its_revision_by_then",
        ),
    ),
    Bug(
        "only a falling revision is noticed",
        "The same, when others have written as many commits again before the server looks.",
        (
            Edit(
                "watch/feed.py",
                "            if head < after or (newest and not _is_there(reader, head, newest)):\n",
                "            if head < after:\n",
            ),
        ),
        (f"{WRITES}test_lost_commits.py::test_a_server_ends_too_when_others_have_passed_its_revision_by_then",),
    ),
    Bug(
        "an older pointer counts as unchanged",
        "Who polls keeps a version that is lost, or that was deleted.",
        (
            Edit(
                "services/resolving.py", "since == entry.pointer.revision else", "entry.pointer.revision <= since else"
            ),
            Edit(
                "services/resolving.py",
                "0 < found.pointer_revision == request.if_changed_since:",
                "0 < found.pointer_revision <= request.if_changed_since:",
            ),
        ),
        (
            "tests/client/test_restored.py::test_a_pointer_that_was_moved_by_what_is_lost_is_not_unchanged[0]",
            "tests/client/test_restored.py::test_a_pointer_that_was_moved_by_what_is_lost_is_not_unchanged[9]",
            "tests/e2e/test_resolve.py::test_a_poller_by_digest_is_told_when_the_version_it_has_was_deleted[sqlite+directory]",
        ),
    ),
    Bug(
        "one file for both ways of the parent's socket",
        "Of questions that reach a worker together all but the first are lost, and it is not heard again.",
        (
            Edit(
                "server/worker.py",
                '        self._questions = end.makefile("r", encoding="utf-8", newline="\\n")\n',
                '        self._questions = end.makefile("rw", encoding="utf-8", newline="\\n")\n',
            ),
            Edit(
                "server/worker.py",
                '        self._answers = end.makefile("w", encoding="utf-8", newline="\\n")\n',
                "        self._answers = self._questions\n",
            ),
        ),
        ("tests/server/test_worker_link.py::test_questions_that_come_together_are_all_answered_and_in_their_order",),
    ),
    Bug(
        "a revision that is lost is waited for",
        "After a restore every client that wrote later is refused its reads, until others have written as much again.",
        (
            Edit(
                "services/edge.py",
                "            raise unknown_revision(wanted, head, self.store.registry_uid)\n",
                '            raise RegistryError(Reason.REVISION_NOT_REACHED, "later", retry_after_s=1.0)\n',
            ),
        ),
        ("tests/client/test_restored.py::test_a_client_that_wrote_after_the_backup_reads_and_writes_again",),
    ),
)
