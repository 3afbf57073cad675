"""What is known about the selected token, as a card."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.exploration.records import ChosenBy
from canopy_desktop.exploration.view import TokenFacts
from canopy_ui.theme import Theme
from canopy_ui.widgets.chip_label import marked, marked_text
from canopy_ui.widgets.figure import Figure
from canopy_ui.widgets.flow_layout import FlowLayout
from canopy_ui.widgets.numbers import bits, grouped, percent, token_count

SHOWN = 4  # rejected tokens that are named


class FactsCard(QFrame):
    """Position, id, probability, rank, surprisal and entropy of one token."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("look", "card")
        self._facts: TokenFacts | None = None
        self._title = QLabel()
        self._title.setTextFormat(Qt.TextFormat.RichText)
        self._title.setWordWrap(True)
        self._title.setAccessibleName(self.tr("Selected token"))
        self._probability = Figure(
            self.tr("probability"), self.tr("What the model assigned to it, before any setting"), "88.8 %"
        )
        self._rank = Figure(self.tr("rank"), self.tr("1: no other token had a higher probability"), "88,888")
        self._surprisal = Figure(
            self.tr("surprisal"), self.tr("How unexpected it was: −log₂ of its probability"), "88.8 bits"
        )
        self._entropy = Figure(
            self.tr("entropy"), self.tr("How open the choice was, over all tokens of the model"), "88.8 bits"
        )
        figures = FlowLayout()
        for figure in self._figures():
            figures.addWidget(figure)
        self._more = QLabel()
        self._more.setProperty("look", "secondary")
        self._more.setTextFormat(Qt.TextFormat.PlainText)
        self._more.setWordWrap(True)
        self._more.hide()
        layout = QVBoxLayout(self)
        layout.addWidget(self._title)
        layout.addLayout(figures)
        layout.addWidget(self._more)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        for figure in self._figures():
            figure.set_theme(theme)
        layout = self.layout()
        if layout is not None:
            layout.setContentsMargins(theme.px(14), theme.px(8), theme.px(14), theme.px(8))
            layout.setSpacing(theme.px(4))
        self._show()

    def set_facts(self, facts: TokenFacts | None) -> None:
        """Show another token."""
        if facts != self._facts:
            self._facts = facts
            self._show()

    def _figures(self) -> tuple[Figure, ...]:
        return self._probability, self._rank, self._surprisal, self._entropy

    def _show(self) -> None:
        facts = self._facts
        self._title.setText(self._title_of(facts) if facts else "")
        self._probability.set_value(percent(facts.probability if facts else None))
        self._rank.set_value("–" if facts is None or facts.rank is None else grouped(facts.rank))
        self._surprisal.set_value(bits(facts.surprisal_bits if facts else None))
        self._entropy.set_value(bits(facts.entropy_bits if facts else None))
        more = [*self._rejected(facts), *self._stopped(facts)] if facts else []
        self._more.setText("\n".join(more))
        self._more.setVisible(bool(more))

    def _title_of(self, facts: TokenFacts) -> str:
        token, theme = facts.chip.token, self._theme
        where = [
            self.tr("token {id}").format(id=grouped(token.id)),
            self.tr("position {position}").format(position=grouped(facts.chip.position)),
            self.tr("in the prompt") if facts.step is None else self.tr("step {step}").format(step=facts.step),
        ]
        if facts.chosen_by is not None:
            where.append(self._chosen_by(facts.chosen_by))
        if facts.dropped:
            where.append(self.tr("left the window"))
        font = theme.token_font(16)
        return (
            f"<span style=\"font-family:'{font.family()}'; font-size:{font.pixelSize()}px; font-weight:600;"
            f' color:{theme.accent}">{_escaped(_shortened(marked(token)))}</span>&nbsp; '
            f'<span style="font-size:{theme.font(14).pixelSize()}px; color:{theme.secondary}">'
            f"{_escaped(' · '.join(where))}</span>"
        )

    def _rejected(self, facts: TokenFacts) -> list[str]:
        if not facts.rejected:
            return []
        tokens = ", ".join(
            self.tr("{token} (for “{entry}”)").format(token=marked(token), entry=entry)
            for token, entry in facts.rejected[:SHOWN]
        )
        if len(facts.rejected) > SHOWN:
            tokens += self.tr(" and {count} more").format(count=len(facts.rejected) - SHOWN)
        return [self.tr("The output filter rejected before it: {tokens}").format(tokens=tokens)]

    def _stopped(self, facts: TokenFacts) -> list[str]:
        """Why the run ended with this token."""
        check = facts.check
        match facts.stopped:
            case StopReason.END_TOKEN:
                return [self.tr("The run ended here: this is an end token")]
            case StopReason.STOP_SEQUENCE if check is not None and check.stop is not None:
                return [
                    self.tr("The run ended here: the stop text “{text}” is complete").format(
                        text=marked_text(check.stop.text)
                    )
                ]
            case StopReason.FILTERED if facts.refused:
                return [self.tr("The run ended here: the output filter let no token through after it")]
            case StopReason.FILTERED:
                return [self.tr("The run ended here: the output filter found what it stops at")]
            case StopReason.MAX_TOKENS if check is not None:
                return [
                    self.tr("The run ended here: {tokens}, as many as asked for").format(
                        tokens=token_count(check.max_tokens)
                    )
                ]
            case StopReason.CONTEXT_FULL if check is not None:
                return [
                    self.tr("The run ended here: the context window of {count} tokens is full").format(
                        count=grouped(check.window)
                    )
                ]
            case StopReason.CANCELLED:
                return [self.tr("The run was stopped here")]
        return []

    def _chosen_by(self, who: ChosenBy) -> str:
        return {
            ChosenBy.GREEDY: self.tr("the likeliest"),
            ChosenBy.SAMPLED: self.tr("drawn at random"),
            ChosenBy.PERSON: self.tr("chosen by you"),
        }[who]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shortened(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
