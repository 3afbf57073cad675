"""An answer's sentences, compared with facts, below the answer."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QTextBrowser, QVBoxLayout, QWidget

from canopy_desktop.exploration.fact_check import RULE, CheckedClaim, Verdict
from canopy_ui.facts_desk import CheckedAnswer
from canopy_ui.theme import Theme

HEIGHT = 112  # pixels at 100 %, of the sentences or of the rule; what is longer is scrolled


class FactCheckView(QFrame):
    """Hidden while there is nothing to compare."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("look", "card")
        self._checked: CheckedAnswer | None = None
        self._head = QLabel()
        self._rule = QPushButton(self.tr("How it compares"))
        self._rule.setProperty("look", "quiet")
        self._rule.setCheckable(True)
        self._text = QTextBrowser()
        self._text.setFrameShape(QFrame.Shape.NoFrame)
        self._text.setOpenLinks(False)
        self._text.setTabChangesFocus(True)
        self._text.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._text.setAccessibleName(self.tr("The answer compared with the facts"))
        self._layout = QVBoxLayout(self)
        for widget in (self._head, self._text, self._rule):
            self._layout.addWidget(widget)
        self._rule.toggled.connect(self._show)
        self._text.document().documentLayout().documentSizeChanged.connect(self._fit)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._head.setFont(theme.font(14, strong=True))
        self._text.setFont(theme.font(14))
        self._rule.setFont(theme.font(13))
        self._layout.setContentsMargins(theme.px(14), theme.px(6), theme.px(14), theme.px(4))
        self._layout.setSpacing(theme.px(2))
        self._show()

    def set_checked(self, checked: CheckedAnswer | None) -> None:
        """Show what became of the sentences; None: nothing was compared."""
        self._checked = checked
        self._show()

    def text(self) -> str:
        """What it says."""
        return self._text.toPlainText()

    def _show(self) -> None:
        checked = self._checked
        self.setVisible(checked is not None)
        if checked is None:
            return
        self._head.setText(
            self.tr(
                "Compared with {name}: {supported} supported, {contradicted} contradicted, {unknown} unknown"
            ).format(
                name=checked.name,
                **{verdict.value: sum(claim.verdict is verdict for claim in checked.claims) for verdict in Verdict},
            )
        )
        self._head.setWordWrap(True)
        if self._rule.isChecked():
            self._text.setHtml("".join(f"<p style='margin:0 0 4px 0'>{escape(line)}</p>" for line in RULE))
        elif checked.claims:
            self._text.setHtml("".join(self._claim(claim) for claim in checked.claims))
        else:
            self._text.setPlainText(self.tr("The answer has no sentence that could be compared."))

        self._fit()

    @Slot()
    def _fit(self) -> None:
        """As high as the text, up to `HEIGHT`."""
        height = min(self._theme.px(HEIGHT), round(self._text.document().size().height()) + 2)
        if height != self._text.height():
            self._text.setFixedHeight(height)

    def _claim(self, claim: CheckedClaim) -> str:
        theme = self._theme
        sign, colour, name = {
            Verdict.SUPPORTED: ("✓", theme.accent, self.tr("supported")),
            Verdict.CONTRADICTED: ("✗", theme.warning, self.tr("contradicted")),
            Verdict.UNKNOWN: ("?", theme.secondary, self.tr("unknown")),
        }[claim.verdict]
        why = escape(self._why(claim))
        return (
            f"<p style='margin:0 0 4px 0'><span style='color:{colour}; font-weight:600'>{sign} {escape(name)}</span>: "
            f"{escape(claim.sentence.text)}<br><span style='color:{theme.secondary}'>{why}</span></p>"
        )

    def _why(self, claim: CheckedClaim) -> str:
        if claim.fact is None:
            return self.tr("No fact shares a word with it.")
        fact = self.tr("Line {line}: “{fact}”").format(line=claim.fact.line, fact=claim.fact.text)
        if claim.only_one_negated and claim.verdict is Verdict.CONTRADICTED:
            return self.tr("{fact} Only one of the two says not, no or never.").format(fact=fact)
        against = "; ".join(
            self.tr("“{ours}”, the fact has “{theirs}”").format(ours=ours, theirs=theirs)
            for ours, theirs in claim.against
        )
        if against and claim.verdict is Verdict.CONTRADICTED:
            return self.tr("{fact} The sentence has {against}.").format(fact=fact, against=against)
        if claim.verdict is Verdict.UNKNOWN:
            return self.tr("Nearest is {fact}").format(fact=fact[:1].lower() + fact[1:])
        return fact
