"""What searches remember of versions: never another one's, never an older one, never without bounds."""

from dataclasses import replace

from registry_grpc.ports.search import VersionHit
from registry_grpc.services.codec.versions import basic_to_wire
from registry_grpc.services.memory import Memory
from registry_grpc.services.version_memory import MAX_BYTES, VersionRecall
from registry_grpc.v1 import catalogue_pb2, versions_pb2
from tests.contract.store.builders import model, version


def of(number, **more):
    return version(model("m"), number, **more)


def hit(made):
    return VersionHit(made.uid, made.revision, made.aliases)


def told(memory, made, *, is_known):
    recall = VersionRecall(memory)
    assert recall.has(hit(made)) == is_known
    return versions_pb2.ModelVersion.FromString(recall.basic(hit(made), {} if is_known else {made.uid: made}))


def test_a_version_is_made_once_and_told_the_same():
    memory, made = Memory(MAX_BYTES), of(1, tags={"a": "1"}, aliases=("best",), model_card="# Long")
    assert told(memory, made, is_known=False) == basic_to_wire(made)
    assert told(memory, made, is_known=True) == basic_to_wire(made)
    assert not told(memory, made, is_known=True).model_card


def test_whatever_changed_is_made_anew():
    memory, made = Memory(MAX_BYTES), of(1, description="old", revision=5)
    told(memory, made, is_known=False)
    for changed in (
        replace(made, description="new", revision=6),
        replace(made, aliases=("best",)),
        replace(made, uid="other"),
    ):
        assert told(memory, changed, is_known=False) == basic_to_wire(changed)
        assert told(memory, made, is_known=True) == basic_to_wire(made)


def test_what_changed_between_finding_and_reading_is_told_as_it_is_and_kept_as_that():
    memory, made = Memory(MAX_BYTES), of(1, revision=5)
    newer = replace(made, description="new", revision=6)
    assert VersionRecall(memory).basic(hit(made), {made.uid: newer}) == basic_to_wire(newer).SerializeToString()
    assert not VersionRecall(memory).has(hit(made))
    assert told(memory, newer, is_known=True) == basic_to_wire(newer)


def test_what_is_gone_is_not_told():
    assert VersionRecall(Memory(MAX_BYTES)).basic(hit(of(1)), {}) is None


def test_what_was_not_used_for_longest_is_forgotten_first_and_an_answer_keeps_its_own():
    made = [of(number, tags={"k": "x" * 500}) for number in range(1, 9)]
    memory = Memory(max_bytes=5_000)
    for each in made[:4]:
        told(memory, each, is_known=False)
    recall = VersionRecall(memory)
    assert recall.has(hit(made[0]))
    for each in made[4:]:
        told(memory, each, is_known=False)
    known = [VersionRecall(memory).has(hit(each)) for each in made]
    assert known[-1]
    assert known == sorted(known)
    assert 2 <= sum(known) <= 5
    assert recall.basic(hit(made[0]), {}) == basic_to_wire(made[0]).SerializeToString()


def test_putting_again_takes_no_more_room():
    memory: Memory[bytes] = Memory(max_bytes=2_000)
    for _ in range(50):
        memory.put("key", b"x" * 500, 500)
    assert memory.get("key") == b"x" * 500


def test_a_match_is_the_message_in_its_places():
    made = of(1, tags={"a": "1"})
    recall = VersionRecall(Memory(MAX_BYTES))
    answer = catalogue_pb2.SearchVersionsResponse.FromString(recall.match(hit(made), {made.uid: made}))
    assert answer == catalogue_pb2.SearchVersionsResponse(
        matches=[catalogue_pb2.VersionMatch(version=basic_to_wire(made))]
    )
