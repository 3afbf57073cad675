"""The rows of a panel's tables and the light, in one way for all of them."""

from __future__ import annotations

from canopy_ui.lighting import Lighting
from canopy_ui.widgets.panel import Panel
from canopy_ui.widgets.row_light import RowLight


def link_tables(panel: Panel, lighting: Lighting) -> None:
    """Each row of the panel's tables lights its token, and is lit with it."""
    for rows in panel.findChildren(RowLight):
        rows.wished.connect(lighting.light_row)
        lighting.lit.connect(rows.set_lit)
