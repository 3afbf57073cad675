"""The output filter that a person chose, and the file that it came from."""

from __future__ import annotations

from dataclasses import dataclass

from canopy_desktop.decoding.output_filter import FilterAction, OutputFilter


@dataclass(frozen=True, slots=True)
class FilterChoice:
    """What is remembered, and what it made. `output_filter` None: there is none, or its file was not read yet."""

    file: str = ""
    action: FilterAction = FilterAction.STOP
    output_filter: OutputFilter | None = None

    @classmethod
    def of(cls, output_filter: OutputFilter | None) -> FilterChoice:
        """A filter that no file on this machine has to have."""
        return cls() if output_filter is None else cls(action=output_filter.action, output_filter=output_filter)
