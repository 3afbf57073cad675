"""Tokens that may not come, and tokens whose logits are raised or lowered."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from canopy_desktop.decoding.settings import LARGEST_SCORE, DecodingSettings
from canopy_desktop.model.tokenizer import Tokenizer
from canopy_ui.theme import Theme
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.flow_layout import FlowLayout
from canopy_ui.widgets.numbers import grouped
from canopy_ui.widgets.token_words import one_token

SHOWN = 30  # rules that have a button; more come from a file
_FIRST_BOOST = 5.0


class TokenRules(QWidget):
    """A field for a token, and a button for each rule that takes it away."""

    edited = Signal(object)  # dict of both settings
    refused = Signal(str)  # why what was typed names no token; "" when it does

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._tokenizer: Tokenizer | None = None
        self._banned: tuple[int, ...] = ()
        self._biases: tuple[tuple[int, float], ...] = ()
        self._name = QLineEdit()
        self._name.setPlaceholderText(self.tr("token: text or #id"))
        self._name.setAccessibleName(self.tr("Token to ban or boost"))
        self._name.setToolTip(self.tr("“·” stands for a space: “·able” and “able” are two tokens"))
        self._ban = QPushButton(self.tr("Ban"))
        self._ban.setToolTip(self.tr("Removes the token before the draw"))
        self._boost = QPushButton(self.tr("Add"))
        self._boost.setToolTip(self.tr("Adds this to the token's logit; less than 0 makes it rarer"))
        self._amount = QDoubleSpinBox()
        self._amount.setRange(-LARGEST_SCORE, LARGEST_SCORE)
        self._amount.setDecimals(1)
        self._amount.setValue(_FIRST_BOOST)
        self._amount.setAccessibleName(self.tr("What is added to its logit"))
        self._none = QLabel(self.tr("No token is banned or boosted."))
        self._none.setProperty("look", "secondary")
        self._entry = QHBoxLayout()
        for widget in (self._ban, self._amount, self._boost):
            self._entry.addWidget(widget)
        self._rules = FlowLayout(column_gap=4, row_gap=2)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self._name)
        self._layout.addLayout(self._entry)
        self._layout.addWidget(self._none)
        self._layout.addLayout(self._rules)
        self._ban.clicked.connect(self._on_ban_clicked)
        self._boost.clicked.connect(self._on_boost_clicked)
        self._name.returnPressed.connect(self._on_ban_clicked)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        self._theme = theme
        for widget in (self._name, self._ban, self._boost, self._amount, self._amount.lineEdit()):
            widget.setFont(theme.font(13))
        self._entry.setSpacing(theme.px(6))
        self._layout.setSpacing(theme.px(4))
        self._show()

    def set_tokenizer(self, tokenizer: Tokenizer) -> None:
        """What names tokens."""
        self._tokenizer = tokenizer
        self._show()

    def set_settings(self, settings: DecodingSettings) -> None:
        """Show these, and say nothing."""
        if (settings.banned_tokens, settings.logit_bias) != (self._banned, self._biases):
            self._banned, self._biases = settings.banned_tokens, settings.logit_bias
            self._show()

    @Slot()
    def _on_ban_clicked(self) -> None:
        self._add(None)

    @Slot()
    def _on_boost_clicked(self) -> None:
        self._add(round(self._amount.value(), 1))

    def _add(self, bias: float | None) -> None:
        """One more rule; it takes the place of another one for the same token."""
        token = one_token(self._tokenizer, self._name.text())
        if isinstance(token, str):
            self.refused.emit(token)
            return
        self.refused.emit("")
        self._name.clear()
        self._drop(token.id)
        if bias is None:
            self._banned = tuple(sorted((*self._banned, token.id)))
        else:
            self._biases = tuple(sorted((*self._biases, (token.id, bias))))
        self._tell()

    def _drop(self, token_id: int) -> None:
        self._banned = tuple(one for one in self._banned if one != token_id)
        self._biases = tuple(one for one in self._biases if one[0] != token_id)

    def _tell(self) -> None:
        self._show()
        self.edited.emit({"banned_tokens": self._banned, "logit_bias": self._biases})

    def _show(self) -> None:
        while (item := self._rules.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        rules = [(token_id, self.tr("banned")) for token_id in self._banned]
        rules += [(token_id, f"{bias:+g}") for token_id, bias in self._biases]
        for token_id, rule in rules[:SHOWN]:
            self._rules.addWidget(self._button_for(token_id, rule))
        if len(rules) > SHOWN:
            more = QLabel(self.tr("and {count} more").format(count=grouped(len(rules) - SHOWN)))
            more.setProperty("look", "secondary")
            self._rules.addWidget(more)
        self._none.setVisible(not rules)
        self.updateGeometry()

    def _button_for(self, token_id: int, rule: str) -> QPushButton:
        known = self._tokenizer is not None and token_id < self._tokenizer.vocabulary_size
        name = marked(self._tokenizer.token(token_id)) if known and self._tokenizer is not None else f"#{token_id}"
        button = QPushButton(f"{name}  {rule}  ×")
        button.setFont(self._theme.font(13))
        button.setProperty("token", token_id)
        button.setToolTip(self.tr("Takes this rule away"))
        button.setAccessibleName(self.tr("{token}, {rule}: take away").format(token=name, rule=rule))
        button.clicked.connect(self._on_rule_clicked)
        return button

    @Slot()
    def _on_rule_clicked(self) -> None:
        button = self.sender()
        if button is not None:
            self._drop(int(button.property("token")))
            self._tell()
