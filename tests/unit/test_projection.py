"""The projection: the newest news of every pointer, in whatever order and how often news comes."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from registry_grpc.domain.events import Action, Event
from registry_grpc.domain.names import LATEST, ModelName, ProjectName
from registry_grpc.domain.pointers import Pointer, PointerKind, Target
from registry_grpc.domain.resources import Model, Project
from registry_grpc.watch.projection import Projection

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = (ModelName("default", "a"), ModelName("default", "b"))
POINTERS = ((PointerKind.STAGE, "production"), (PointerKind.ALIAS, "champion"), (PointerKind.LATEST, LATEST))


def pointer(name, kind, pointer_id, number, revision):
    target = Target(
        name=name.version(number or 1),
        uid=str(number),
        manifest_digest="",
        file_count=1,
        total_size_bytes=1,
        stage="production",
    )
    return Pointer(
        model=name, model_uid=str(name), kind=kind, id=pointer_id, target=target if number else None, revision=revision
    )


def event(revision, index, action, after):
    return Event(revision=revision, index=index, action=action, after=after, actor="", request_id="", time=NOW)


def model(name, revision):
    return Model(uid=str(name), name=name, create_time=NOW, update_time=NOW, revision=revision)


def assigned(revision, number, stage="production"):
    return [event(revision, 0, Action.ASSIGNED, pointer(NAMES[0], PointerKind.STAGE, stage, number, revision))]


def projection():
    return Projection(lambda each: each.number)


def production(of):
    entry = of.stage(str(NAMES[0]), "production")
    return None if entry is None else entry.reply


def test_nothing_is_known_of_what_was_never_told():
    empty = projection()
    assert empty.stage(str(NAMES[0]), "production") is None
    assert empty.alias(str(NAMES[0]), LATEST) is None


def test_old_news_does_not_replace_new():
    one = projection()
    one.apply(assigned(7, 2))
    one.apply(assigned(5, 1))
    assert production(one) == 2


def test_of_two_events_of_one_revision_the_later_counts():
    one = projection()
    one.apply([*assigned(5, 1), replace(assigned(5, 2)[0], index=1)])
    assert production(one) == 2


def test_news_of_a_version_is_kept_with_the_revision_of_the_pointer():
    one = projection()
    one.apply(assigned(5, 1))
    told_again = replace(assigned(5, 1)[0], revision=9)
    one.apply([told_again])
    entry = one.stage(str(NAMES[0]), "production")
    assert (entry.revision, entry.pointer.revision) == (9, 5)
    one.apply(assigned(7, 3))
    assert production(one) == 1


def test_a_cleared_pointer_has_no_reply():
    one = projection()
    one.apply(assigned(5, 1))
    one.apply([event(6, 0, Action.CLEARED, pointer(NAMES[0], PointerKind.STAGE, "production", 0, 6))])
    assert one.stage(str(NAMES[0]), "production").reply is None


def test_a_deleted_model_is_forgotten_and_older_news_of_it_is_void():
    one = projection()
    one.apply(assigned(5, 1))
    one.apply([event(8, 0, Action.DELETED, model(NAMES[0], 8))])
    one.apply(assigned(7, 2))
    assert one.stage(str(NAMES[0]), "production") is None
    one.apply(assigned(9, 2))
    assert production(one) == 2
    one.apply([event(8, 0, Action.DELETED, model(NAMES[0], 8))])
    assert production(one) == 2


def test_a_deleted_project_is_forgotten_and_comes_back_by_later_news_only():
    of = projection()
    of.apply(assigned(1, 1))
    elsewhere = pointer(ModelName("other", "a"), PointerKind.STAGE, "production", 9, 1)
    of.apply([event(1, 0, Action.ASSIGNED, elsewhere)])
    gone = Project(uid="p", name=ProjectName("default"), create_time=NOW, update_time=NOW, revision=5)
    of.apply([event(5, 0, Action.DELETED, gone)])
    assert production(of) is None
    assert of.stage("projects/other/models/a", "production").reply == 9
    # Older news that comes late, also of a model nothing was known of.
    of.apply(assigned(4, 2))
    of.apply([event(4, 0, Action.ASSIGNED, pointer(NAMES[1], PointerKind.LATEST, LATEST, 3, 4))])
    assert production(of) is None
    assert of.alias(str(NAMES[1]), LATEST) is None
    of.apply(assigned(6, 1))
    assert production(of) == 1


def test_a_snapshot_does_not_undo_what_was_committed_since():
    one = projection()
    one.apply(assigned(7, 2))
    one.load([pointer(NAMES[0], PointerKind.STAGE, "production", 1, 3)], 6)
    assert production(one) == 2
    one.apply(assigned(5, 9))
    assert production(one) == 2


def test_replies_are_made_once_for_each_change_and_not_for_vacant_pointers():
    made = []
    one = Projection(lambda each: made.append(each.number) or each.number)
    one.apply(assigned(5, 1))
    one.apply(assigned(4, 8))
    for _ in range(3):
        production(one)
    assert made == [1]


MOVES = st.tuples(st.sampled_from(NAMES), st.sampled_from(POINTERS), st.integers(0, 3))
STEPS = st.lists(
    st.one_of(st.lists(MOVES, min_size=1, max_size=3, unique_by=lambda move: move[:2]), st.sampled_from(NAMES)),
    max_size=12,
)


def written(steps):
    """The log that the steps leave, and where every pointer of a live model points after them."""
    log, truth, dead = [], {}, set()
    for revision, step in enumerate(steps, 1):
        if isinstance(step, list):
            told = []
            for name, (kind, pointer_id), number in step:
                if name in dead:
                    continue
                truth[name, kind, pointer_id] = number
                action = Action.ASSIGNED if number else Action.CLEARED
                told.append((action, pointer(name, kind, pointer_id, number, revision)))
        elif step in dead:
            dead.remove(step)
            told = [(Action.UNDELETED, model(step, revision))]
            held = [(key, number) for key, number in truth.items() if key[0] == step and number]
            told += [(Action.ASSIGNED, pointer(*key, number, revision)) for key, number in held]
        else:
            dead.add(step)
            told = [(Action.DELETED, model(step, revision))]
        log.append([event(revision, index, *each) for index, each in enumerate(told)])
    return log, {key: 0 if key[0] in dead else number for key, number in truth.items()}


@given(STEPS, st.data())
def test_any_interleaving_of_own_commits_and_tailed_pages_ends_at_the_truth(steps, data):
    log, truth = written(steps)
    own = data.draw(st.lists(st.sampled_from(range(len(log))), max_size=12)) if log else []
    cuts = data.draw(st.lists(st.integers(0, len(log)), max_size=4).map(sorted))
    pages = [[one for part in log[a:b] for one in part] for a, b in zip([0, *cuts], [*cuts, len(log)], strict=True)]
    # Pages come in order, own commits at any time and in any order, some of both again.
    order = data.draw(st.permutations([*range(len(pages)), *(-1 - number for number in own)]))
    tail = iter(pages)
    one = projection()
    for each in order:
        one.apply(log[-1 - each] if each < 0 else next(tail))
        if data.draw(st.booleans()):
            one.apply(log[-1 - each] if each < 0 else [])
    for (name, kind, pointer_id), number in truth.items():
        look_up = one.stage if kind is PointerKind.STAGE else one.alias
        entry = look_up(str(name), pointer_id)
        assert (entry.reply if entry and entry.reply else 0) == number
