"""Numbers as the tables of a benchmark show them: few digits, intervals in brackets, bounds where no more is known."""

import numpy as np

from .statistics import Cost, Rate, Ratio


def format_cost(cost: Cost) -> str:
    """Returns mean evaluations per success with its interval."""
    if np.isinf(cost.value):
        return f"> {significant(cost.total)}"
    return f"{significant(cost.value)} ({significant(cost.low)} to {significant(cost.high)})"


def format_ratio(ratio: Ratio | None) -> str:
    """Returns a speed ratio with its interval, or the bound that is known."""
    if ratio is None or (np.isinf(ratio.value) and ratio.low == 0):
        return "unknown"
    if np.isinf(ratio.value):
        return f"> {significant(ratio.low, 2)}"
    if ratio.value == 0:
        return f"< {significant(ratio.high, 2)}"
    return f"{significant(ratio.value, 2)} ({significant(ratio.low, 2)} to {significant(ratio.high, 2)})"


def significant(value: float, digits: int = 3) -> str:
    """Returns a number in few digits, with thousands set off."""
    if np.isinf(value):
        return "∞"
    if value == 0:
        return "0"
    decimals = digits - 1 - int(np.floor(np.log10(abs(value))))
    return f"{round(value, decimals):,.{max(decimals, 0)}f}"


def format_energy(energy: float) -> str:
    """Returns an energy difference in thousandths, 0 where it rounds to that."""
    if np.isinf(energy):
        return "∞"
    return f"{energy:.3f}" if abs(energy) >= 0.0005 else "0"


def format_rate(rate: Rate) -> str:
    """Returns a success rate with its interval in per cent."""
    return f"{100 * rate.value:.0f} % ({100 * rate.low:.0f} to {100 * rate.high:.0f})"


def format_count(number: int) -> str:
    """Returns a number of evaluations, thousands as k."""
    return f"{number // 1000}k" if number >= 1000 and number % 1000 == 0 else f"{number:,}"


def format_seconds(value: float | None, scale: float = 1.0) -> tuple[str, float | None]:
    """Returns a time times `scale` as text, and the time to compare by."""
    return ("", None) if value is None else (significant(scale * value), value)
