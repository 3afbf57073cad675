"""Undo and redo, without a window."""

from dataclasses import replace

from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.blocking import BlockWish
from canopy_desktop.exploration.branches import Ref
from canopy_desktop.exploration.kept import KeptExploration
from canopy_desktop.exploration.searching import Searched, SearchKind, SearchPhase, SearchWish
from canopy_desktop.exploration.trail import (
    MOST,
    MOST_BYTES,
    MOST_TEXTS,
    STEP_BYTES,
    Deed,
    Done,
    Marks,
    Searches,
    ShownText,
    Standing,
    Trail,
    TriedBlock,
)
from tests.support.keeping import begin, beginning, kept, run
from tests.support.scripted import ScriptedSession

HERE, THERE, BEYOND = (Standing(node, Marks()) for node in (3, 5, 9))


def test_undoing_goes_back_deed_by_deed_and_redoing_returns() -> None:
    trail = Trail().noted(Deed.GO, HERE).noted(Deed.CHOOSE, THERE)
    first = trail.undone(BEYOND)
    assert first is not None
    assert first[1] == THERE
    second = first[0].undone(THERE)
    assert second is not None
    assert second[1] == HERE
    assert second[0].undone(HERE) is None
    again = second[0].redone(HERE)
    assert again is not None
    assert again[1] == THERE
    last = again[0].redone(THERE)
    assert last is not None
    assert last == (trail, BEYOND)
    assert last[0].redone(BEYOND) is None


def test_a_run_that_went_on_is_redone_to_where_it_had_come() -> None:
    trail = Trail().noted(Deed.RUN, HERE)
    undone = trail.undone(BEYOND)
    assert undone is not None
    redone = undone[0].redone(HERE)
    assert redone is not None
    assert redone[1] == BEYOND


def test_a_new_deed_ends_what_could_be_redone() -> None:
    undone = Trail().noted(Deed.GO, HERE).undone(THERE)
    assert undone is not None
    assert undone[0].noted(Deed.GO, HERE).future == ()


def test_deeds_that_changed_nothing_are_passed_over() -> None:
    trail = Trail().noted(Deed.GO, HERE).noted(Deed.RUN, THERE).noted(Deed.GO, THERE)
    found = trail.undone(THERE)
    assert found is not None
    assert found[1] == HERE
    assert trail.can_undo(THERE)
    assert not Trail().noted(Deed.RUN, THERE).can_undo(THERE)
    assert Trail().noted(Deed.RUN, THERE).undone(THERE) is None


def test_taking_back_a_name_leaves_the_cursor_where_it_is() -> None:
    ref = Ref(0, 2)
    named = Marks().named((ref,), "mine")
    undone = Trail().noted(Deed.RENAME, HERE).undone(Standing(9, named))
    assert undone is not None
    assert undone[1] == Standing(None, Marks())
    redone = undone[0].redone(Standing(12, Marks()))
    assert redone is not None
    assert redone[1] == Standing(None, named)


def test_names_belong_to_a_node_and_an_empty_one_takes_it_away() -> None:
    refs = (Ref(0, 2), Ref(1, 7))
    marks = Marks().named(refs, "first").named(refs[1:], "second")
    assert set(marks.names.values()) == {"first", "second"}
    assert Marks().named(refs, "first").named(refs, "second").names == {refs[0]: "second"}
    assert marks.named(refs, "").names == {}


def test_what_is_hidden_can_be_shown_again() -> None:
    marks = Marks().without((Ref(0, 2), Ref(1, 7)))
    assert marks.shown(frozenset({Ref(0, 2)})).hidden == {Ref(1, 7)}
    assert marks.shown(frozenset({Ref(0, 3)})) is marks


def test_only_so_many_deeds_are_remembered() -> None:
    trail = Trail()
    for node in range(MOST + 5):
        trail = trail.noted(Deed.GO, Standing(node, Marks()))
    assert len(trail.past) == MOST
    assert trail.past[-1].standing.cursor == MOST + 4


def test_a_setting_is_taken_back_without_a_step_in_the_tree() -> None:
    cold, warm = DecodingSettings(), DecodingSettings(temperature=0.8)
    trail = Trail().noted(Deed.GO, HERE).noted(Deed.SETTINGS, Standing(5, Marks(), settings=cold))
    undone = trail.undone(Standing(9, Marks(), settings=warm))
    assert undone is not None
    assert undone[1] == Standing(settings=cold)
    redone = undone[0].redone(Standing(5, Marks(), settings=cold))
    assert redone == (trail, Standing(settings=warm))


def test_a_deed_that_goes_on_is_undone_with_what_it_goes_on_from() -> None:
    cold, warm = (Standing(settings=DecodingSettings(temperature=value)) for value in (0.0, 0.8))
    trail = Trail().noted(Deed.SETTINGS, cold).noted(Deed.SETTINGS, warm, joined=True)
    assert trail.past == (Done(Deed.SETTINGS, cold),)
    other = Trail().noted(Deed.WINDOW, cold).noted(Deed.SETTINGS, warm, joined=True)
    assert len(other.past) == 2


def test_a_reset_is_taken_back_before_what_was_done_in_the_text() -> None:
    trail = Trail().noted(Deed.GO, Standing(3, Marks(), text=ShownText(1)))
    trail = trail.noted(Deed.RESET, Standing(5, Marks(), text=ShownText(1)))
    undone = trail.undone(Standing(-1, Marks(), text=ShownText(0)))
    assert undone is not None
    assert undone[1] == Standing(text=ShownText(1))
    again = undone[0].undone(Standing(5, Marks(), text=ShownText(2)))
    assert again is not None
    assert again[1] == HERE


def held_of(trail: Trail) -> list[int]:
    return [done.standing.text.number for done in trail.past if done.standing.text is not None]


def test_only_so_many_texts_are_remembered_with_what_was_done_in_them() -> None:
    text, trail = kept_text(1), Trail()
    for number in range(1, MOST_TEXTS + 3):
        trail = trail.noted(Deed.GO, Standing(number, Marks()))
        trail = trail.noted(Deed.BEGIN, Standing(number, Marks(), text=ShownText(number, text)))
    assert held_of(trail) == list(range(3, MOST_TEXTS + 3))
    assert trail.past[0].deed is Deed.GO


def test_long_texts_are_remembered_less_far_back_and_the_last_one_always() -> None:
    most = MOST_BYTES // STEP_BYTES
    text, trail = kept_text(most // 2), Trail()
    for number in range(1, 4):
        trail = trail.noted(Deed.OPEN, Standing(text=ShownText(number, text)), f"{number}.canopy")
    assert held_of(trail) == [2, 3]
    trail = trail.noted(Deed.OPEN, Standing(text=ShownText(4, kept_text(most + 1))))
    assert held_of(trail) == [4]
    trail = trail.noted(Deed.BEGIN, Standing(text=ShownText(0)))
    assert held_of(trail) == [4, 0]


def test_what_is_left_out_can_neither_be_undone_nor_redone() -> None:
    trail = Trail().noted(Deed.RUN, HERE).noted(Deed.BLOCK, Standing(block=TriedBlock(None)))
    wish = TriedBlock(BlockWish(query=5, key=2, column=False, layer=1, head=2))
    undone = trail.undone(Standing(9, Marks(), block=wish))
    assert undone is not None
    assert [done.deed for done in trail.without(Deed.BLOCK).past] == [Deed.RUN]
    assert undone[0].without(Deed.BLOCK).future == ()


def test_searches_come_back_as_far_as_they_had_come() -> None:
    read, further = (searched(1, SearchPhase.SEARCHING, done) for done in (1, 2))
    found = Searches.of([read, searched(2, SearchPhase.FINISHED, 3)])
    assert found == Searches.of([further, searched(2, SearchPhase.FINISHED, 3)])
    assert found.as_known({1: further})[1] is further
    back = found.as_known({})
    assert (back[1].phase, back[2].phase) == (SearchPhase.STOPPED, SearchPhase.FINISHED)


def kept_text(steps: int) -> KeptExploration:
    """A text of so many steps, all of them the same one."""
    generation = ScriptedSession().new_generation()
    begun = beginning(ScriptedSession(), "abc", DecodingSettings(max_tokens=1))
    begin(generation, begun)
    (step,) = run(generation)
    return replace(kept(begun, generation), steps=(step,) * steps)


def searched(number: int, phase: SearchPhase, done: int) -> Searched:
    wish = SearchWish(
        number=number,
        node=0,
        text=History(prompt=(1,), generated=()),
        kind=SearchKind.BEAMS,
        count=2,
        settings=DecodingSettings(),
    )
    return Searched(wish=wish, phase=phase, done=done)
