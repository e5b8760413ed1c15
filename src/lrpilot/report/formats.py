"""Numbers as a reader likes them: rates, values with their error, durations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

NOTHING = "\N{EN DASH}"  # no value


def rate(value: float | None, digits: int = 2) -> str:
    """A learning rate: 1e-05, 2.6e-04."""
    if value is None or math.isnan(value):
        return NOTHING
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{exponent}"


def number(value: float | None, digits: int = 4) -> str:
    """A number to so many significant digits; whole numbers in full, with separators."""
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return f"{value}"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.{digits}g}"


def with_error(value: float | None, error: float | None) -> str:
    """A value rounded to its standard error: 0.431 ± 0.021, 0.80 ± 0.09.

    The error keeps two digits where they are 35 or less, otherwise one: the rule of the Particle
    Data Group (Review of Particle Physics, introduction), without its rounding up of 95 to 99.
    """
    if value is None or error is None or not (math.isfinite(value) and math.isfinite(error)):
        return number(value)
    if error <= 0:
        return f"{number(value)} ± 0"
    exponent = math.floor(math.log10(error))
    leading = round(error / 10.0 ** (exponent - 1))
    decimals = max(0, (1 if leading <= 35 else 0) - exponent)
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def duration(seconds: float | None) -> str:
    """A time span in the two units that matter."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def plural(count: int, one: str, many: str | None = None) -> str:
    """'one raise', '3 raises'."""
    return f"one {one}" if count == 1 else f"{count:,} {many or one + 's'}"


def listed(values: Sequence[Any], limit: int = 4) -> str:
    """'1, 2 and 3', cut short past `limit`."""
    words = [f"{v:,}" if isinstance(v, int) else str(v) for v in values]
    if len(words) > limit:
        return f"{', '.join(words[:limit])} and {len(words) - limit} more"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def shown(value: Any) -> str:
    """Any JSON value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(float(value)) if abs(value) >= 1e-3 or value == 0 else rate(float(value), 3)
    if isinstance(value, dict):
        return ", ".join(f"{k} {shown(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(shown(v) for v in value)
    return NOTHING if value is None else str(value)
