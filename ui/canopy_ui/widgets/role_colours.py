"""Where a token of a prompt comes from: its name, and the colour of its ground."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QColor

from canopy_desktop.exploration.view import TokenRole
from canopy_ui.theme import Theme, mixed

# Hues that differ for people who see no red or no green (Okabe and Ito 2008), on the theme's own ground.
_HUES = {
    TokenRole.SYSTEM: "#56B4E9",
    TokenRole.USER: "#0072B2",
    TokenRole.ASSISTANT: "#009E73",
    TokenRole.FACTS: "#E69F00",
}
_SHARE = {"light": 0.36, "dark": 0.42, "contrast": 0.5}


def role_name(role: TokenRole, *, earlier: bool = False) -> str:
    """What a source is called; `earlier`: of the chat's history."""
    name = {
        TokenRole.TEMPLATE: _tr("template"),
        TokenRole.SYSTEM: _tr("system"),
        TokenRole.USER: _tr("user"),
        TokenRole.ASSISTANT: _tr("assistant"),
        TokenRole.FACTS: _tr("facts"),
        TokenRole.COMPLETION: _tr("your text"),
        TokenRole.GENERATED: _tr("generated"),
    }[role]
    return _tr("{role} before").format(role=name) if earlier else name


def role_ground(theme: Theme, role: TokenRole, *, strong: bool = False) -> QColor:
    """The ground of a token's text; `strong`, of a bar without text."""
    hue = _HUES.get(role, theme.bar)
    if strong:
        return mixed(theme.panel, hue, 0.85)
    share = _SHARE[theme.name]
    return mixed(theme.panel, hue, share if role in _HUES else share * 0.8)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Roles", text)
