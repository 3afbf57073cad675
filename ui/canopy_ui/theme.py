"""The look of the window: colours by role, type and zoom, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

from canopy_desktop.paths import resources
from canopy_ui.style_sheet import style_sheet

MIN_ZOOM = 0.8
MAX_ZOOM = 2.5
DROPPED_OPACITY = 0.55  # of a token that is no longer in the window
SURPRISAL_BITS = 9.0  # the surprisal at which the colour is full
_TEXT_GROUND = 0.4  # of the way to the full colour of attention: text stays readable on it

_TEXT_FAMILIES = ["Inter", "Noto Sans", "DejaVu Sans"]
_TOKEN_FAMILIES = ["JetBrains Mono", "Noto Sans Mono", "DejaVu Sans Mono"]
_MIN_PX = 12
_MIDDLE = 0.179  # luminance on which black and white have the same contrast (WCAG 2.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours as #RRGGBB. Text has a contrast of at least 4.5 to every ground that it stands on."""

    name: str
    window: str
    panel: str
    border: str
    control_border: str
    text: str
    secondary: str
    accent: str  # chosen, selected, running
    on_accent: str
    accent_soft: str
    bar: str
    hatch: str  # the ground of what is not drawn
    hatch_line: str
    surprisal_low: str
    surprisal_high: str
    mark: str  # whitespace marks, on any surprisal
    attention_low: str
    attention_high: str
    warning: str
    warning_soft: str
    zoom: float = 1.0

    def px(self, size: float) -> int:
        """A length at this zoom."""
        return max(1, round(size * self.zoom))

    def font(self, size: float = 15, *, strong: bool = False) -> QFont:
        """Inter with figures of one width."""
        return _font(_TEXT_FAMILIES, self._type_px(size), strong)

    def token_font(self, size: float = 15, *, strong: bool = False) -> QFont:
        """The font of tokens outside of the text."""
        font = _font(_TOKEN_FAMILIES, self._type_px(size), strong)
        font.setFeature(QFont.Tag("calt"), 0)  # its ligatures would turn <| into an arrow
        return font

    def surprisal_colour(self, bits: float) -> QColor:
        """The ground of a token with this surprisal."""
        return mixed(self.surprisal_low, self.surprisal_high, bits / SURPRISAL_BITS)

    def probability_colour(self, share: float) -> QColor:
        """The ground of a token that is assigned this probability, 0 to 1."""
        return mixed(self.attention_low, self.attention_high, share)

    def attention_colour(self, share: float) -> QColor:
        """The colour of a look with this share, 0 to 1. It grows with the root: most looks are of some percent."""
        return mixed(self.attention_low, self.attention_high, sqrt(max(share, 0.0)))

    def link_colour(self, share: float) -> QColor:
        """The ground of a token's text that gets this share, 0 to 1, of the largest attention."""
        return mixed(self.attention_low, self.attention_high, _TEXT_GROUND * sqrt(min(max(share, 0.0), 1.0)))

    def _type_px(self, size: float) -> int:
        return max(_MIN_PX, self.px(size))


_LIGHT = Theme(
    name="light",
    window="#EEF1F4",
    panel="#FFFFFF",
    border="#DDE2E8",
    control_border="#8793A0",
    text="#17212B",
    secondary="#566270",
    accent="#0B6E4F",
    on_accent="#FFFFFF",
    accent_soft="#E2F1EA",
    bar="#A9BCCB",
    hatch="#E9EDF1",
    hatch_line="#C2CBD5",
    surprisal_low="#FFFFFF",
    surprisal_high="#F4B03C",
    mark="#434D57",
    attention_low="#FFFFFF",
    attention_high="#00346E",
    warning="#A02B12",
    warning_soft="#FBEBE6",
)
_DARK = Theme(
    name="dark",
    window="#12161B",
    panel="#1B2128",
    border="#323C47",
    control_border="#6F7E8D",
    text="#E8EDF2",
    secondary="#A6B2BF",
    accent="#53C99C",
    on_accent="#06231A",
    accent_soft="#1D3A31",
    bar="#566B7E",
    hatch="#232B34",
    hatch_line="#45525F",
    surprisal_low="#1B2128",
    surprisal_high="#80530A",
    mark="#D5DCE3",
    attention_low="#1B2128",
    attention_high="#A8D1FF",
    warning="#FF9C82",
    warning_soft="#3A221C",
)
_CONTRAST = Theme(
    name="contrast",
    window="#000000",
    panel="#000000",
    border="#FFFFFF",
    control_border="#FFFFFF",
    text="#FFFFFF",
    secondary="#E6E6E6",
    accent="#FFD83D",
    on_accent="#000000",
    accent_soft="#3B3100",
    bar="#9DB4C8",
    hatch="#101010",
    hatch_line="#8C8C8C",
    surprisal_low="#000000",
    surprisal_high="#7A4B00",
    mark="#FFFFFF",
    attention_low="#000000",
    attention_high="#CFE6FF",
    warning="#FFA48F",
    warning_soft="#330D05",
)
_BY_NAME = {theme.name: theme for theme in (_LIGHT, _DARK, _CONTRAST)}


def theme_named(name: str, zoom: float = 1.0) -> Theme:
    """The theme of that name, light where there is none, at a zoom within what is possible."""
    return replace(_BY_NAME.get(name, _LIGHT), zoom=min(max(zoom, MIN_ZOOM), MAX_ZOOM))


def mixed(low: str, high: str, share: float) -> QColor:
    """The colour at `share`, 0 to 1, of the way from `low` to `high`."""
    share = min(max(share, 0.0), 1.0)
    first, last = QColor(low), QColor(high)
    return QColor(
        round(first.red() + (last.red() - first.red()) * share),
        round(first.green() + (last.green() - first.green()) * share),
        round(first.blue() + (last.blue() - first.blue()) * share),
    )


def ink_on(ground: QColor) -> QColor:
    """Black or white, whichever can be read better: its contrast is 4.5 or more on any colour."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (ground.redF(), ground.greenF(), ground.blueF())
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return QColor("#000000" if luminance > _MIDDLE else "#FFFFFF")


def load_fonts(folder: Path | None = None) -> None:
    """Make the program's own fonts known to Qt."""
    for path in sorted((folder or resources() / "fonts").glob("*.[ot]tf")):
        QFontDatabase.addApplicationFont(str(path))


def apply_theme(app: QApplication, theme: Theme) -> None:
    """Give the whole program this look, unless it has it: each of these goes through all widgets that there are."""
    sheet = style_sheet(theme)
    if app.styleSheet() == sheet and app.font() == theme.font():
        return
    app.setStyle("Fusion")
    app.setPalette(_palette(theme))
    app.setFont(theme.font())
    app.setStyleSheet(sheet)


def _font(families: list[str], px: int, strong: bool) -> QFont:
    font = QFont(families)
    font.setPixelSize(px)
    font.setWeight(QFont.Weight.DemiBold if strong else QFont.Weight.Normal)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def _palette(theme: Theme) -> QPalette:
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    palette = QPalette()
    for name, colour in (
        (role.Window, theme.panel),
        (role.WindowText, theme.text),
        (role.Base, theme.panel),
        (role.AlternateBase, theme.window),
        (role.Text, theme.text),
        (role.Button, theme.panel),
        (role.ButtonText, theme.text),
        (role.BrightText, theme.warning),
        (role.Highlight, theme.accent),
        (role.HighlightedText, theme.on_accent),
        (role.Accent, theme.accent),
        (role.PlaceholderText, theme.secondary),
        (role.ToolTipBase, theme.panel),
        (role.ToolTipText, theme.text),
        (role.Link, theme.accent),
        (role.LinkVisited, theme.accent),
        (role.Light, theme.panel),
        (role.Midlight, theme.border),
        (role.Mid, theme.control_border),
        (role.Dark, theme.control_border),
        (role.Shadow, theme.border),
    ):
        palette.setColor(name, QColor(colour))
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(group.Disabled, name, QColor(theme.secondary))
    return palette
