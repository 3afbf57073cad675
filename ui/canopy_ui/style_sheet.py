"""The style sheet of the whole window; widgets say what they are by the property `look`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from canopy_ui.theme import Theme


def style_sheet(theme: Theme) -> str:
    """Qt's style sheet for a theme and its zoom."""
    radius, small = theme.px(6), theme.px(4)
    return f"""
QMainWindow, QMainWindow > QWidget#qt_scrollarea_viewport {{ background: {theme.window}; }}
QToolTip {{ background: {theme.panel}; color: {theme.text}; border: 1px solid {theme.control_border};
    padding: {small}px; }}
QLabel[look="secondary"] {{ color: {theme.secondary}; font-size: {max(12, theme.px(13))}px; }}
QLabel[look="warning"] {{ color: {theme.warning}; font-size: {max(12, theme.px(13))}px; font-weight: 600; }}
QLabel[look="message"] {{ color: {theme.secondary}; font-size: {max(12, theme.px(15))}px; }}
QLabel[look="figure"] {{ font-size: {max(12, theme.px(18))}px; font-weight: 600; }}
QFrame[look="card"] {{ background: {theme.panel}; border: 1px solid {theme.border}; border-radius: {radius}px; }}
QFrame[look="notice"] {{ background: {theme.warning_soft}; border: 1px solid {theme.warning};
    border-radius: {radius}px; }}
QFrame[look="notice"] QLabel {{ color: {theme.text}; }}
QPushButton {{ background: {theme.panel}; color: {theme.text}; border: 1px solid {theme.control_border};
    border-radius: {radius}px; padding: {theme.px(5)}px {theme.px(10)}px; }}
QPushButton:hover {{ background: {theme.accent_soft}; }}
QPushButton:focus {{ border: 2px solid {theme.accent}; padding: {theme.px(5) - 1}px {theme.px(10) - 1}px; }}
QPushButton:disabled {{ color: {theme.secondary}; border-color: {theme.border}; }}
QPushButton[look="primary"] {{ background: {theme.accent}; color: {theme.on_accent}; border-color: {theme.accent};
    font-weight: 600; }}
QPushButton[look="primary"]:focus {{ border: 2px solid {theme.text}; }}
QPushButton[look="primary"]:disabled {{ background: {theme.hatch}; color: {theme.secondary};
    border-color: {theme.border}; }}
QPushButton[look="segment"] {{ border-radius: 0; padding: {theme.px(4)}px {theme.px(6)}px; }}
QPushButton[look="segment"]:checked {{ background: {theme.accent_soft}; color: {theme.accent}; font-weight: 600;
    border-color: {theme.accent}; }}
QPushButton[look="quiet"] {{ border: 1px solid transparent; padding: {theme.px(3)}px {theme.px(6)}px;
    color: {theme.accent}; text-align: left; }}
QPushButton[look="quiet"]:hover {{ background: {theme.accent_soft}; }}
QPushButton[look="quiet"]:focus {{ border: 1px solid {theme.accent}; }}
QPushButton::menu-indicator {{ subcontrol-position: right center; subcontrol-origin: padding; }}
QPlainTextEdit[look="editor"] {{ background: {theme.panel}; color: {theme.text};
    border: 1px solid {theme.control_border}; border-radius: {radius}px; padding: {theme.px(3)}px; }}
QPlainTextEdit[look="editor"]:focus {{ border: 2px solid {theme.accent}; padding: {theme.px(3) - 1}px; }}
QPlainTextEdit[look="editor"][overlong="true"] {{ border: 2px solid {theme.warning}; padding: {theme.px(3) - 1}px; }}
"""
