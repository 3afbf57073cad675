"""The style sheet of the window's own parts: tool bar, docks and what lies between them."""

from __future__ import annotations

from canopy_ui.theme import Theme

GAP, BAR_PADDING = 6, 4  # at every zoom: Qt's own, which a window has until the theme changes


def shell_style(theme: Theme) -> str:
    """Qt's style sheet for a theme and its zoom."""
    radius, small = theme.px(6), max(12, theme.px(13))
    return f"""
QMainWindow {{ background: {theme.window}; }}
QMainWindow::separator {{ background: {theme.window}; width: {GAP}px; height: {GAP}px; }}
QMainWindow::separator:hover {{ background: {theme.accent_soft}; }}
QToolBar#transport, QToolBar#stages {{ background: {theme.panel}; border: none;
    border-bottom: 1px solid {theme.border}; padding: {BAR_PADDING}px; }}
QToolBar#transport QLabel[look="brand"] {{ color: {theme.accent}; font-size: {max(12, theme.px(17))}px;
    font-weight: 600; padding-right: {theme.px(6)}px; }}
QToolBar#transport QLabel[look="chip"] {{ border: 1px solid {theme.border}; border-radius: {radius}px;
    padding: {theme.px(4)}px {theme.px(8)}px; font-size: {small}px; }}
QPushButton[look="stage"] {{ padding: {theme.px(2)}px {theme.px(8)}px; }}
QPushButton[look="stage"]:focus {{ padding: {theme.px(2) - 1}px {theme.px(8) - 1}px; }}
QPushButton[look="stage"]:checked {{ background: {theme.accent_soft}; color: {theme.accent};
    border-color: {theme.accent}; font-weight: 600; }}
QTabBar#workspaces::tab {{ background: transparent; border: 1px solid transparent; border-radius: {radius}px;
    padding: {theme.px(5)}px {theme.px(10)}px; margin: 0; }}
QTabBar#workspaces::tab:hover {{ border-color: {theme.border}; }}
QTabBar#workspaces::tab:selected {{ background: {theme.accent_soft}; color: {theme.accent}; font-weight: 600; }}
QTabBar#workspaces:focus::tab:selected {{ border-color: {theme.accent}; }}
QFrame[look="dock-title"] {{ background: {theme.panel}; border: 1px solid {theme.border};
    border-top-left-radius: {radius}px; border-top-right-radius: {radius}px; }}
QFrame[look="dock-title"][meant="true"] {{ background: {theme.accent_soft}; border-color: {theme.accent}; }}
QFrame[look="dock-body"] {{ background: {theme.panel}; border: 1px solid {theme.border}; border-top: none;
    border-bottom-left-radius: {radius}px; border-bottom-right-radius: {radius}px; }}
QFrame[look="dock-title"] QLabel[look="name"] {{ font-size: {max(12, theme.px(14))}px; font-weight: 600; }}
QToolButton[look="dock-button"] {{ border: 1px solid transparent; border-radius: {theme.px(4)}px; padding: 0;
    color: {theme.secondary}; font-size: {small}px; }}
QToolButton[look="dock-button"]:hover {{ background: {theme.accent_soft}; }}
QToolButton[look="dock-button"]::menu-indicator {{ image: none; }}
QToolButton[look="dock-button"]:focus {{ border-color: {theme.accent}; }}
QDialog[look="popover"] {{ background: {theme.panel}; border: 1px solid {theme.control_border}; }}
QFrame[look="told"] {{ background: {theme.accent_soft}; border: 1px solid {theme.accent};
    border-radius: {radius}px; }}
QProgressBar {{ background: {theme.hatch}; border: 1px solid {theme.control_border}; border-radius: {theme.px(4)}px; }}
QProgressBar::chunk {{ background: {theme.accent}; border-radius: {theme.px(3)}px; }}
QDialog QLabel[look="name"] {{ font-size: {max(12, theme.px(15))}px; font-weight: 600; }}
QDialog QTableView::item {{ padding: 0 {theme.px(8)}px; }}
QDialog QTableView::item:selected {{ background: {theme.accent_soft}; color: {theme.accent}; }}
QDialog QTableView::item:disabled {{ color: {theme.secondary}; }}
"""
