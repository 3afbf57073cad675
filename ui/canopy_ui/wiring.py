"""Which thread answers what a desk of the window asks, and whom it tells."""

from __future__ import annotations

from canopy_ui.block_desk import BlockDesk
from canopy_ui.branch_desk import BranchDesk
from canopy_ui.compare_desk import CompareDesk
from canopy_ui.inside_desk import InsideDesk
from canopy_ui.keeping import Keeping
from canopy_ui.measuring_desk import MeasuringDesk
from canopy_ui.threads import Threads


def connect_keeping(keeping: Keeping, threads: Threads) -> None:
    """The journal is the inference thread's; the reader copies attention."""
    keeping.tokens_known.connect(threads.tokens_known)
    keeping.attention_known.connect(threads.attention_known)
    keeping.attention_requested.connect(threads.attention_requested)
    keeping.keep_requested.connect(threads.keep_requested)
    keeping.marks_requested.connect(threads.marks_requested)
    keeping.searches_requested.connect(threads.searches_requested)
    keeping.set_aside_requested.connect(threads.set_aside_requested)
    keeping.discard_requested.connect(threads.discard_requested)


def connect_comparison(comparison: CompareDesk, threads: Threads) -> None:
    """Runs are the inference thread's, pictures of their steps the reader's."""
    comparison.requested.connect(threads.compare_requested)
    comparison.stop_requested.connect(threads.stop_comparison)
    comparison.release_requested.connect(threads.release_requested)
    comparison.reading_requested.connect(threads.compared_step_requested)
    comparison.models_requested.connect(threads.models_requested)
    threads.worker.comparer.event_ready.connect(comparison.take)
    threads.compare_reader.result_ready.connect(comparison.take_picture)
    threads.compare_reader.models_found.connect(comparison.models_found)


def connect_branches(branches: BranchDesk, threads: Threads) -> None:
    """The reader thread lays out the tree, the inference thread searches."""
    branches.picture_requested.connect(threads.picture_requested)
    branches.search_requested.connect(threads.search_requested)
    branches.search_stop_requested.connect(threads.search_stop_requested)
    threads.drawer.drawn.connect(branches.take_picture)
    threads.worker.searches.changed.connect(branches.take_search)


def connect_passes(inside: InsideDesk, blocks: BlockDesk, measuring: MeasuringDesk, threads: Threads) -> None:
    """What takes passes of the model beside the run; whoever measures has to pause that first."""
    inside.requested.connect(threads.inside_requested)
    threads.worker.questions.inside_looked.connect(inside.take)
    blocks.requested.connect(threads.block_requested)
    threads.worker.questions.block_tried.connect(blocks.take)
    measuring.cache_size_requested.connect(threads.cache_size_requested)
    measuring.errand_end_requested.connect(threads.errand_end_requested)
    threads.worker.questions.cache_measured.connect(measuring.take_size)
    threads.worker.errand_reported.connect(measuring.take_report)
