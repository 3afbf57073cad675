"""Figures as a person reads them: grouped, with units, never more digits than are known."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

UNKNOWN = "–"


def grouped(number: int) -> str:
    """8192 as "8,192"."""
    return f"{number:,}"


def token_count(count: int) -> str:
    """So many of them."""
    text = "1 token" if count == 1 else "{count} tokens"
    return QCoreApplication.translate("Numbers", text).format(count=grouped(count))


def percent(probability: float | None) -> str:
    """One decimal, and never a 0 or a 100 that is not exact."""
    if probability is None:
        return UNKNOWN
    if probability <= 0.0:
        return "0 %"
    if probability >= 1.0:
        return "100 %"
    if probability < 0.0005:
        return "<0.1 %"
    if probability >= 0.9995:
        return ">99.9 %"
    return f"{100.0 * probability:.1f} %"


def bits(value: float | None) -> str:
    """One decimal and the unit; no 0 that is not exact."""
    if value is None:
        return UNKNOWN
    return "<0.1 bits" if 0.0 < value < 0.05 else f"{abs(value):.1f} bits"


def milliseconds(value: float | None) -> str:
    """Three digits at most, in seconds from ten thousand on."""
    if value is None:
        return UNKNOWN
    if value >= 9_999.5:
        return f"{value / 1000.0:.1f} s"
    return f"{value:.1f} ms" if value < 99.95 else f"{value:,.0f} ms"


def rate(value: float | None) -> str:
    """Tokens in a second."""
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def byte_size(size: int | None, digits: int = 2) -> str:
    """In units of 1,000, as drives and most system monitors count, with so many digits at least."""
    if size is None:
        return UNKNOWN
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.5 else f"{amount:.{digits}g} {unit}"
        amount /= 1000.0
    return f"{amount:.2f} GB"


def hexadecimal(data: bytes) -> str:
    """Bytes as pairs of digits."""
    return data.hex(" ").upper()
