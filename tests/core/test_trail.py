"""Undo and redo, without a window."""

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.branches import Ref
from canopy_desktop.exploration.trail import MOST, MOST_TEXTS, Deed, Marks, ShownText, Standing, Trail

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
    assert trail.past[-1][1].cursor == MOST + 4


def test_a_setting_is_taken_back_without_a_step_in_the_tree() -> None:
    cold, warm = DecodingSettings(), DecodingSettings(temperature=0.8)
    trail = Trail().noted(Deed.GO, HERE).noted(Deed.SETTINGS, Standing(5, Marks(), cold))
    undone = trail.undone(Standing(9, Marks(), warm))
    assert undone is not None
    assert undone[1] == Standing(settings=cold)
    redone = undone[0].redone(Standing(5, Marks(), cold))
    assert redone == (trail, Standing(settings=warm))


def test_a_deed_that_goes_on_is_undone_with_what_it_goes_on_from() -> None:
    cold, warm = (Standing(settings=DecodingSettings(temperature=value)) for value in (0.0, 0.8))
    trail = Trail().noted(Deed.SETTINGS, cold).noted(Deed.SETTINGS, warm, joined=True)
    assert trail.past == ((Deed.SETTINGS, cold),)
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


def test_only_so_many_texts_are_remembered() -> None:
    trail = Trail()
    for number in range(1, MOST_TEXTS + 3):
        trail = trail.noted(Deed.GO, Standing(number, Marks()))
        trail = trail.noted(Deed.BEGIN, Standing(number, Marks(), text=ShownText(number)))
    texts = [before.text.number for _, before in trail.past if before.text is not None]
    assert texts == list(range(3, MOST_TEXTS + 3))
    assert trail.past[0][0] is Deed.BEGIN
