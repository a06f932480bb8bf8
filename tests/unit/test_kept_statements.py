"""What is kept of searches: the same statement for the same question, and nothing of questions that are large."""

from registry_grpc.domain.filters.conditions import Comparison, Condition, Kind
from registry_grpc.domain.filters.tree import And, Not, Or
from registry_grpc.domain.search import Search, Visible
from registry_grpc.storage.sql.search.kept import MAX_WEIGHT, MOST, kept

MINE = Visible(projects=frozenset({"mine"}))


def tag(text):
    return Condition("tags", Kind.TEXT, Comparison.EQUAL, text, "team")


def search(*texts, visible=MINE):
    return Search(visible=visible, conditions=And(tuple(tag(text) for text in texts)))


def maker():
    made = []

    @kept
    def make(wanted, *more):
        made.append((wanted, *more))
        return object()

    return make, made


def test_an_equal_question_gets_what_was_made_for_the_first():
    make, made = maker()
    assert make(search("a"), None, 50) is make(search("a"), None, 50)
    assert len(made) == 1


def test_another_question_gets_its_own():
    make, made = maker()
    first = make(search("a"), 50)
    others = [
        make(search("b"), 50),
        make(search("a"), 51),
        make(search("a", visible=Visible(projects=frozenset({"other"}))), 50),
        make(search("a", visible=Visible(everywhere=True)), 50),
        make(Search(visible=MINE, conditions=tag("a"), show_deleted=True), 50),
    ]
    assert len({id(each) for each in (first, *others)}) == len(made) == 6


def test_nothing_is_kept_of_what_is_large():
    of_models = Visible(models=frozenset(("mine", f"m{at}") for at in range(MAX_WEIGHT)))
    deep = Not(Or(tuple(tag(str(at)) for at in range(MAX_WEIGHT))))
    for large in (
        search("a", visible=of_models),
        search("x" * 50 * MAX_WEIGHT),
        search(*map(str, range(MAX_WEIGHT))),
        Search(visible=MINE, conditions=deep),
    ):
        make, made = maker()
        assert make(large) is not make(large)
        assert len(made) == 2
    make, made = maker()
    assert make(search("a"), deep) is not make(search("a"), deep), "of every part of a question"


def test_no_more_are_kept_than_may_be():
    make, made = maker()
    for at in range(2 * MOST):
        make(search(str(at)))
    make(search(str(2 * MOST - 1)))
    assert len(made) == 2 * MOST
    make(search("0"))
    assert len(made) == 2 * MOST + 1
