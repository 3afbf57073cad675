"""Ask mpmath, at 50 digits, how often χ² is as large as a statistic."""

from __future__ import annotations

import mpmath
from source import write_json

DEGREES = (1, 2, 3, 4, 5, 7, 10, 19, 20, 39, 40, 99, 199)
TIMES_DEGREES = ("1e-6", "0.01", "0.3", "0.7", "1", "1.5", "2", "3", "5", "20")


def main() -> None:
    """Make chi_square.json."""
    mpmath.mp.dps = 50
    rows = []
    for degrees in DEGREES:
        for times in TIMES_DEGREES:
            statistic = float(mpmath.mpf(times) * degrees)
            p_value = mpmath.gammainc(mpmath.mpf(degrees) / 2, mpmath.mpf(statistic) / 2, mpmath.inf, regularized=True)
            rows.append({"statistic": statistic, "degrees_of_freedom": degrees, "p_value": float(p_value)})
    write_json("chi_square.json", {"made_with": {"mpmath": mpmath.__version__}}, "values", rows)


if __name__ == "__main__":
    main()
