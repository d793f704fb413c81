"""How numbers are written on a page and in a sentence, with two or three significant digits and their intervals."""

import math
from collections.abc import Iterable

NOTHING = "—"
_DIGITS = 3
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """Writes a number with three significant digits, "—" for NaN.

    Example:
        >>> number(7.4041), number(0.0077442), number(-0.5), number(12345.6), number(-3.03e-8), number(float("nan"))
        ('7.40', '0.00774', '−0.500', '12,346', '−3.0 × 10⁻⁸', '—')
    """
    value = float(value)
    if not math.isfinite(value):
        return NOTHING if math.isnan(value) else "−∞" if value < 0 else "∞"
    if value and not 1e-4 <= abs(value) < 1e7:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}".replace("-", "−")
    return _fixed(value, _decimals(value, _DIGITS))


def estimate(value: float, low: float, high: float) -> tuple[str, str]:
    """Writes a number and its interval with as many decimals as its width supports, "—" for an interval of NaN.

    Example:
        >>> estimate(7.4041, 7.245, 7.5551)
        ('7.40', '[7.25, 7.56]')
        >>> estimate(0.00015, -0.1, 0.2), estimate(3.0, float("nan"), float("nan"))
        (('0.00', '[−0.10, 0.20]'), ('3.00', '—'))
    """
    ends = float(low), float(high)
    if not all(map(math.isfinite, (value, *ends))):
        return number(value), NOTHING
    width = ends[1] - ends[0]
    if max(abs(value), width) < 1e-4 or abs(value) >= 1e7:
        return number(value), f"[{number(low)}, {number(high)}]"
    decimals = _decimals(value, _DIGITS) if value else 4
    if width > 0:
        decimals = min(decimals, _decimals(width, 2))
    return _fixed(value, decimals), f"[{_fixed(ends[0], decimals)}, {_fixed(ends[1], decimals)}]"


def spoken(value: float, low: float, high: float) -> str:
    """Writes a number with its interval behind it, where there is one.

    Example:
        >>> spoken(0.51, 0.495, 0.5302), spoken(0.51, float("nan"), float("nan"))
        ('0.510 [0.495, 0.530]', '0.510')
    """
    written, interval = estimate(value, low, high)
    return written if interval == NOTHING else f"{written} {interval}"


def listed(words: Iterable[object]) -> str:
    """Joins words to a list that can be read out.

    Example:
        >>> listed([3]), listed([3, 6]), listed([3, 6, 9])
        ('3', '3 and 6', '3, 6 and 9')
    """
    *front, last = map(str, words)
    return f"{', '.join(front)} and {last}" if front else last


def counted(count: int, noun: str) -> str:
    """Writes a count and its noun.

    Example:
        >>> counted(1, "latent"), counted(2000, "image")
        ('1 latent', '2,000 images')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _decimals(value: float, digits: int) -> int:
    """Counts the decimals that show so many significant digits."""
    exponent = int(f"{abs(value):.{digits - 1}e}".split("e")[1])  # after rounding: 9.999 has the exponent of 10
    return max(0, digits - 1 - exponent)


def _fixed(value: float, decimals: int) -> str:
    written = f"{value:,.{decimals}f}"
    if not value or not float(written.replace(",", "")):  # no negative zero
        written = written.lstrip("-")
    return ("0" if value == 0 and decimals == _DIGITS - 1 else written).replace("-", "−")
