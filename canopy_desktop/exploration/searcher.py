"""Runs beam searches and many draws beside the recorded text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from canopy_desktop.decoding.beams import BeamSettings, BeamStep
from canopy_desktop.errors import ContextFullError
from canopy_desktop.exploration.beam_search import BeamPrefill, BeamSearch, BeamsFinished, prefill
from canopy_desktop.exploration.draws import continuations, first_draws
from canopy_desktop.exploration.searching import Searched, SearchKind, SearchRecorder, SearchWish

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession


class Searcher:
    """Runs searches with a cache of their own: the recorded text is left alone. For the thread of the decoder."""

    def __init__(self, session: ModelSession) -> None:
        self._session = session

    def run(self, wish: SearchWish) -> Iterator[Searched]:
        """What was found after each pass of the model; whoever leaves the iterator ends the search.

        Raises what `BeamSearch.run` and `continuations` raise, `ContextFullError` where nothing fits, or
        `SettingsError`.
        """
        if len(wish.text.prompt) + len(wish.text.generated) >= self._session.sequence.decoder.context:
            raise ContextFullError(self._session.sequence.decoder.context)
        return self._beams(wish) if wish.kind is SearchKind.BEAMS else self._draws(wish)

    def _beams(self, wish: SearchWish) -> Iterator[Searched]:
        recorder = SearchRecorder(wish)
        settings = BeamSettings(beams=wish.count, length_penalty=wish.penalty)
        for event in BeamSearch(self._session).run(wish.text, wish.settings, settings):
            match event:
                case BeamPrefill(done, total):
                    yield Searched(wish=wish, done=done, total=total)
                case BeamStep():
                    yield recorder.take_step(event)
                case BeamsFinished(sequences):
                    yield recorder.finish(sequences)

    def _draws(self, wish: SearchWish) -> Iterator[Searched]:
        recorder, session = SearchRecorder(wish), self._session
        decoder = session.sequence.decoder.sibling()
        reading = prefill(decoder, (*wish.text.prompt, *wish.text.generated))
        while True:
            try:
                read = next(reading)
            except StopIteration as end:
                logits = end.value
                break
            yield Searched(wish=wish, done=read.done, total=read.total)
        first = first_draws(logits, wish.text, wish.settings, wish.count)
        for progress in continuations(first, decoder, session.tokenizer):
            yield recorder.take_draws(progress)
        yield recorder.finish(())
