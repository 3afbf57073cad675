"""The style sheet of the whole window; widgets say what they are by the property `look`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from canopy_desktop.paths import resources

if TYPE_CHECKING:
    from canopy_ui.theme import Theme


def style_sheet(theme: Theme) -> str:
    """Qt's style sheet for a theme and its zoom."""
    icons = (resources() / "icons").as_posix()
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
QFrame[look="what-if"] {{ background: {theme.accent_soft}; border: none; border-bottom: 1px solid {theme.accent}; }}
QPushButton {{ background: {theme.panel}; color: {theme.text}; border: 1px solid {theme.control_border};
    border-radius: {radius}px; padding: {theme.px(5)}px {theme.px(10)}px; }}
QPushButton:hover {{ background: {theme.accent_soft}; }}
QPushButton:focus {{ border: 2px solid {theme.accent}; padding: {theme.px(5) - 1}px {theme.px(10) - 1}px; }}
QPushButton:disabled {{ color: {theme.secondary}; border-color: {theme.hatch_line}; }}
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
QToolButton[look="small"] {{ background: {theme.panel}; color: {theme.text}; border: 1px solid {theme.control_border};
    border-radius: {small}px; padding: {theme.px(2)}px {theme.px(5)}px; }}
QToolButton[look="small"]:hover {{ background: {theme.accent_soft}; }}
QToolButton[look="small"]:focus {{ border-color: {theme.accent}; }}
QToolButton[look="small"]:disabled {{ color: {theme.secondary}; border-color: {theme.hatch_line}; }}
QToolButton[look="small"]::menu-indicator {{ image: none; }}
QPushButton::menu-indicator {{ image: none; width: 0; }}
QPlainTextEdit[look="editor"] {{ background: {theme.panel}; color: {theme.text};
    placeholder-text-color: {theme.secondary};
    border: 1px solid {theme.control_border}; border-radius: {radius}px; padding: {theme.px(3)}px; }}
QPlainTextEdit[look="editor"]:focus {{ border: 2px solid {theme.accent}; padding: {theme.px(3) - 1}px; }}
QPlainTextEdit[look="editor"][overlong="true"] {{ border: 2px solid {theme.warning}; padding: {theme.px(3) - 1}px; }}
QScrollBar:vertical {{ background: transparent; width: {theme.px(10)}px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: {theme.px(10)}px; margin: 0; }}
QScrollBar::handle {{ background: {theme.control_border}; border-radius: {theme.px(3)}px; margin: {theme.px(2)}px; }}
QScrollBar::handle:vertical {{ min-height: {theme.px(28)}px; }}
QScrollBar::handle:horizontal {{ min-width: {theme.px(28)}px; }}
QScrollBar::handle:hover {{ background: {theme.secondary}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QSpinBox, QDoubleSpinBox, QLineEdit, QComboBox {{ background: {theme.panel}; color: {theme.text};
    border: 1px solid {theme.control_border}; border-radius: {small}px;
    padding: {theme.px(2)}px 0 {theme.px(2)}px {theme.px(5)}px;
    selection-background-color: {theme.accent}; selection-color: {theme.on_accent}; }}
QAbstractSpinBox QLineEdit {{ border: none; padding: 0; background: transparent; }}
QSpinBox:focus, QDoubleSpinBox:focus, QLineEdit:focus, QComboBox:focus {{ border-color: {theme.accent}; }}
QSpinBox:disabled, QDoubleSpinBox:disabled, QLineEdit:disabled, QComboBox:disabled {{ color: {theme.secondary};
    border-color: {theme.border}; }}
QSpinBox::up-button, QDoubleSpinBox::up-button {{ subcontrol-origin: border; subcontrol-position: top right;
    width: {theme.px(18)}px; border: none; }}
QSpinBox::down-button, QDoubleSpinBox::down-button {{ subcontrol-origin: border;
    subcontrol-position: bottom right; width: {theme.px(18)}px; border: none; }}
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow {{ image: url({icons}/up-{theme.name}.svg);
    width: {theme.px(12)}px; height: {theme.px(12)}px; }}
QSpinBox::down-arrow, QDoubleSpinBox::down-arrow {{ image: url({icons}/down-{theme.name}.svg);
    width: {theme.px(12)}px; height: {theme.px(12)}px; }}
QSlider::groove:horizontal {{ background: {theme.border}; height: {theme.px(4)}px; border-radius: {theme.px(2)}px; }}
QSlider::sub-page:horizontal {{ background: {theme.accent}; border-radius: {theme.px(2)}px; }}
QSlider::handle:horizontal {{ background: {theme.panel}; border: 2px solid {theme.accent}; width: {theme.px(10)}px;
    margin: -{theme.px(5)}px 0; border-radius: {theme.px(7)}px; }}
QSlider::handle:horizontal:focus {{ background: {theme.accent}; }}
QSlider::handle:horizontal:disabled {{ border-color: {theme.control_border}; }}
QSlider::sub-page:horizontal:disabled {{ background: {theme.control_border}; }}
QComboBox::drop-down {{ border: none; width: {theme.px(20)}px; }}
QComboBox::down-arrow {{ image: url({icons}/down-{theme.name}.svg); width: {theme.px(14)}px;
    height: {theme.px(14)}px; }}
QComboBox QAbstractItemView {{ background: {theme.panel}; border: 1px solid {theme.control_border}; }}
QCheckBox {{ spacing: {theme.px(6)}px; }}
QCheckBox::indicator {{ width: {theme.px(14)}px; height: {theme.px(14)}px; background: {theme.panel};
    border: 1px solid {theme.control_border}; border-radius: {theme.px(3)}px; }}
QCheckBox::indicator:hover, QCheckBox:focus::indicator {{ border-color: {theme.accent}; }}
QCheckBox::indicator:checked {{ background: {theme.accent}; border-color: {theme.accent};
    image: url({icons}/check-{theme.name}.svg); }}
QHeaderView::section {{ background: {theme.panel}; color: {theme.secondary}; border: none;
    border-bottom: 1px solid {theme.border}; padding: {theme.px(3)}px {theme.px(6)}px; }}
QTableView {{ border: none; }}
"""
