"""The tree of branches, beams and draws, and the picture of it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from canopy_desktop.decoding.beams import BeamSettings, Endings, Fate, advance, begin
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.branch_picture import (
    ELIDED,
    LINES,
    PADDING,
    BranchPicture,
    Twig,
    branch_picture,
    characters,
)
from canopy_desktop.exploration.branches import (
    RECORDED,
    ROOT,
    BranchKind,
    BranchTree,
    BranchWish,
    PrunedShown,
    Ref,
    branch_tree,
)
from canopy_desktop.exploration.draws import DrawnToken, DrawProgress
from canopy_desktop.exploration.records import PROMPT_NODE, Candidate, StepRecord
from canopy_desktop.exploration.searching import Searched, SearchKind, SearchRecorder, SearchWish
from tests.support.records import step_record

TOKENS = 40


def text_of(token_id: int) -> str:
    return f"·t{token_id}"


def step(node: int, parent: int, token_id: int, depth: int, before: float = 0.0) -> StepRecord:
    chosen = Candidate(token_id, 0.0, -0.5, 0.5)
    return step_record(
        node=node, parent=parent, position=1 + depth, index=depth, chosen=chosen, total_logprob=before - 0.5
    )


def chain(length: int) -> tuple[StepRecord, ...]:
    return tuple(step(node, node - 1, node % TOKENS, node + 1, -0.5 * node) for node in range(length))


def beams(count: int, length: int, *, node: int = PROMPT_NODE, number: int = 1, seed: int = 1) -> Searched:
    """A search over made-up scores."""
    random = np.random.default_rng(seed)
    settings = BeamSettings(beams=count)
    recorder, state = SearchRecorder(wish_of(SearchKind.BEAMS, count, length, node, number)), begin(settings)
    while state.running:
        shares = random.dirichlet(np.full(TOKENS, 0.1), len(state.running))
        made, state = advance(state, np.log(shares + 1e-12), settings, Endings(length, end_ids=(0,)))
        recorder.take_step(made)
    return recorder.finish(state.best(settings))


def draws(texts: list[tuple[int, ...]], *, node: int = PROMPT_NODE, number: int = 1) -> Searched:
    recorder = SearchRecorder(wish_of(SearchKind.DRAWS, len(texts), len(texts[0]), node, number))
    for place in range(len(texts[0])):
        drawn = tuple(DrawnToken(draw, text[place], -1.0) for draw, text in enumerate(texts))
        recorder.take_draws(DrawProgress(len(texts) * (place + 1), (), drawn))
    return recorder.finish(())


def wish_of(kind: SearchKind, count: int, length: int, node: int, number: int) -> SearchWish:
    text = History((1, 2))
    return SearchWish(
        number=number, node=node, text=text, kind=kind, count=count, settings=DecodingSettings(max_tokens=length)
    )


def tree_of(**wishes: object) -> BranchTree:
    return branch_tree(BranchWish(**wishes), text_of)  # type: ignore[arg-type]


def ids_of(tree: BranchTree, number: int) -> list[int]:
    ids: list[int] = []
    while number:
        ids.append(tree.nodes[number].token_id)
        number = tree.nodes[number].parent
    return ids[::-1]


def test_texts_that_begin_alike_share_their_nodes_whoever_wrote_them() -> None:
    """Two records of the same token, decided by other settings, and a draw of it are one node."""
    steps = (step(0, -1, 3, 1), step(1, 0, 4, 2), step(2, -1, 3, 1), step(3, 2, 5, 2))
    tree = tree_of(steps=steps, cursor=3, searches=(draws([(3, 4), (3, 6), (7, 7)]),))
    assert sorted(map(tuple, (ids_of(tree, number) for number in range(1, len(tree.nodes))))) == [
        (3,), (3, 4), (3, 5), (3, 6), (7,), (7, 7),
    ]  # fmt: skip
    first = tree.nodes[tree.at[Ref(RECORDED, 0)]]
    assert first.refs == (Ref(RECORDED, 0), Ref(RECORDED, 2), Ref(1, 0))
    assert (first.kind, first.draws, first.node) == (BranchKind.RECORDED, 2, 0)
    assert tree.nodes[tree.cursor].token_id == 5
    assert [node.token_id for node in tree.nodes if node.on_way] == [-1, 3, 5]


def test_the_total_is_the_sum_from_the_prompt_also_of_a_search_after_a_branch() -> None:
    found = beams(3, 4, node=1)
    tree = tree_of(steps=chain(2), cursor=1, searches=(found,), pruned=PrunedShown.ALL)
    best = tree.nodes[tree.at[Ref(1, found.results[0].last)]]
    assert (best.place, best.step) == (1, 6 if not best.ended else best.step)
    number, total = found.results[0].last, -1.0
    while number >= 0:
        total += found.found[number].logprob
        number = found.found[number].parent
    assert best.total == pytest.approx(total)
    assert best.score == found.results[0].score


def test_a_candidate_that_leads_nowhere_is_pruned_until_a_person_goes_there() -> None:
    found = beams(3, 5)
    tree = tree_of(searches=(found,), pruned=PrunedShown.ALL)
    assert len(tree.nodes) == 1 + len(found.found)
    alive = found.alive()
    for number in range(len(found.found)):
        assert tree.nodes[tree.at[Ref(1, number)]].pruned == (number not in alive)
    cut = next(number for number, token in enumerate(found.found) if token.fate is Fate.PRUNED and token.parent < 0)
    gone = (step(0, -1, found.found[cut].token_id, 1),)
    tree = tree_of(steps=gone, searches=(found,))
    assert not tree.nodes[tree.at[Ref(RECORDED, 0)]].pruned


def test_what_is_not_shown_is_counted_beside_its_parent() -> None:
    found = beams(4, 6)
    shown = {pruned: tree_of(searches=(found,), pruned=pruned) for pruned in PrunedShown}
    assert len(shown[PrunedShown.NONE].nodes) == 1 + len(found.alive())
    assert all(not node.pruned for node in shown[PrunedShown.NONE].nodes)
    kept = [token for token in found.found if token.fate is not Fate.PRUNED]
    assert len(shown[PrunedShown.ONCE_KEPT].nodes) == 1 + len(kept)
    for tree in shown.values():
        for number, node in enumerate(tree.nodes):
            refs = [ref.number for ref in node.refs if ref.search == 1]
            below = [token for token in found.found if token.parent in (refs or [-1])]
            assert len(node.children) + node.cut == len(below), number
    assert sum(node.cut for node in shown[PrunedShown.ALL].nodes) == 0


def test_pruned_candidates_stand_on_both_sides_of_what_goes_on() -> None:
    tree = tree_of(searches=(beams(4, 40),), pruned=PrunedShown.ALL)
    sides = {True: 0, False: 0}
    for node in tree.nodes:
        living = [place for place, child in enumerate(node.children) if not tree.nodes[child].pruned]
        if living:
            sides[True] += living[0]
            sides[False] += len(node.children) - 1 - living[-1]
    assert abs(sides[True] - sides[False]) < 0.2 * sum(sides.values())


def test_a_folded_node_hides_what_is_below_it_and_says_how_much() -> None:
    steps = (*chain(6), step(6, 2, 30, 4))
    tree = tree_of(steps=steps, cursor=6, folded=frozenset({Ref(RECORDED, 2)}))
    assert [node.node for node in tree.nodes] == [PROMPT_NODE, 0, 1, 2]
    assert tree.nodes[3].folded == 4
    assert tree.cursor == 3  # the nearest that is shown
    assert not tree.nodes[3].children


def test_a_hidden_node_is_gone_with_all_below_it_unless_one_stands_there() -> None:
    steps = (*chain(4), step(4, 0, 30, 2))
    hidden = frozenset({Ref(RECORDED, 1)})
    assert [node.node for node in tree_of(steps=steps, cursor=4, hidden=hidden).nodes] == [PROMPT_NODE, 0, 4]
    stands_there = tree_of(steps=steps, cursor=2, hidden=hidden)
    assert [node.node for node in stands_there.nodes] == [PROMPT_NODE, 0, 1, 2, 3, 4]


def test_a_search_after_a_hidden_node_is_not_shown() -> None:
    tree = tree_of(steps=chain(2), searches=(beams(2, 3, node=1),), hidden=frozenset({Ref(RECORDED, 0)}))
    assert len(tree.nodes) == 1


def test_the_way_to_a_searched_node_begins_at_the_nearest_recorded_one() -> None:
    tree = tree_of(steps=chain(2), cursor=1, searches=(draws([(8, 9, 7)], node=1),))
    assert tree.way_from_recorded(tree.at[Ref(1, 2)]) == (1, (8, 9, 7))
    assert tree.way_from_recorded(tree.at[Ref(RECORDED, 0)]) == (0, ())
    assert tree.way_from_recorded(0) == (PROMPT_NODE, ())


def picture_of(**wishes: object) -> BranchPicture:
    return branch_picture(BranchWish(**wishes), text_of)  # type: ignore[arg-type]


def boxes(picture: BranchPicture) -> np.ndarray:
    """Left, top, right, bottom of every text, (texts, 4)."""
    return np.array([(twig.x, twig.y, twig.x + twig.width, twig.y + twig.lines) for twig in picture.twigs])


@pytest.mark.parametrize("pruned", PrunedShown)
def test_every_node_is_drawn_once_and_no_text_on_another(pruned: PrunedShown) -> None:
    searches = (beams(10, 30, node=9), draws([(4, 5), (4, 6)]))
    picture = picture_of(steps=chain(20), cursor=9, searches=searches, pruned=pruned, room=999.0)
    drawn = [cell.node for twig in picture.twigs for cell in twig.cells if cell.node != ELIDED]
    assert sorted(drawn) == list(range(len(picture.tree.nodes)))
    edges = boxes(picture)
    left, top, right, bottom = edges.T
    apart = (right[:, None] <= left) | (right <= left[:, None]) | (bottom[:, None] <= top) | (bottom <= top[:, None])
    assert (apart | np.eye(len(edges), dtype=bool)).all()
    assert (edges >= 0).all()
    assert right.max() <= picture.width
    assert bottom.max() <= picture.height


def test_texts_follow_their_parents_from_left_to_right() -> None:
    picture = picture_of(searches=(beams(5, 10),), pruned=PrunedShown.ALL)
    for twig in picture.twigs[1:]:
        before = picture.twigs[twig.parent]
        assert twig.x > before.x + before.width
        assert picture.twig_of[picture.tree.nodes[twig.cells[0].node].parent] == twig.parent


def test_ten_beams_of_thirty_steps_fit_a_projector_when_only_what_leads_somewhere_is_drawn() -> None:
    found = beams(10, 30)
    picture = picture_of(searches=(found,), pruned=PrunedShown.NONE)
    assert len(picture.twigs) <= 2 * 10 + 1
    assert picture.height <= 720 / 22


def test_lines_are_as_long_as_the_room_lets_them_be() -> None:
    found = beams(10, 30)
    widths = [
        picture_of(searches=(found,), pruned=PrunedShown.NONE, room=room).width for room in (50.0, 120.0, 140.0, 999.0)
    ]
    assert widths[1] <= 120 < widths[2] <= 140 < widths[3]
    assert widths[0] > 50  # none fits
    chain_alone = picture_of(steps=chain(300), cursor=299, room=70.0)
    assert LINES[2] < chain_alone.twigs[1].width <= LINES[0]


def test_a_chain_is_one_text_in_lines_and_its_middle_is_left_out_until_it_is_opened() -> None:
    whole = picture_of(steps=chain(50), cursor=49)
    assert [len(twig.cells) for twig in whole.twigs] == [1, 50]
    short = picture_of(steps=chain(300), cursor=299)
    twig = short.twigs[1]
    gap = next(cell for cell in twig.cells if cell.node == ELIDED)
    assert gap.tokens + len(twig.cells) - 1 == 300
    assert (twig.cells[0].node, twig.cells[-1].node) == (1, 300)
    assert twig.lines == 8
    assert short.cell_of(150) == (twig, gap)
    opened = picture_of(steps=chain(300), cursor=299, opened=frozenset({Ref(RECORDED, 0)}))
    assert len(opened.twigs[1].cells) == 300
    assert_in_lines(opened.twigs[1], opened)


def assert_in_lines(twig: Twig, picture: BranchPicture) -> None:
    for one, next_one in pairwise(twig.cells):
        assert (one.line, one.x) < (next_one.line, next_one.x)
        if one.line == next_one.line:
            assert next_one.x == pytest.approx(one.x + one.width)
    assert max(cell.x + cell.width for cell in twig.cells) == twig.width <= LINES[0]
    for cell in twig.cells:
        assert cell.width >= characters(picture.tree.nodes[cell.node].text) + PADDING


def test_a_text_ends_where_one_stands_and_a_named_one_begins_anew() -> None:
    picture = picture_of(steps=chain(10), cursor=4, names={Ref(RECORDED, 7): "the end"})
    assert [len(twig.cells) for twig in picture.twigs] == [1, 5, 2, 3]
    assert [twig.named for twig in picture.twigs] == [False, False, False, True]


def test_wide_characters_count_twice() -> None:
    assert [characters(text) for text in ("abc", "你好", "e\u0301", "")] == [3, 4, 1, 0]


def test_the_picture_of_nothing_is_the_prompt() -> None:
    picture = picture_of()
    assert len(picture.twigs) == 1
    assert picture.tree.nodes[0].refs == (ROOT,)


def test_a_search_that_grows_keeps_the_order_of_what_is_there() -> None:
    found = beams(3, 8)
    early = replace(found, found=found.found[:9], results=(), going=tuple(range(9)))
    for one, other in ((early, found),):
        before, after = (tree_of(searches=(searched,), pruned=PrunedShown.ALL) for searched in (one, other))
        for node in before.nodes:
            later = after.nodes[after.at[node.refs[0]]]
            assert {before.nodes[child].refs[0] for child in node.children} <= {
                after.nodes[child].refs[0] for child in later.children
            }
