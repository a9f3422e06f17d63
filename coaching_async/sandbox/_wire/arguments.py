"""Arguments of a wrong kind: the sandbox and its faults refuse them when they are made."""

__all__ = ["require_at_least", "require_positive", "require_text", "require_whole"]


def require_text(**values: str | None) -> None:
    """Raise `TypeError` unless each value is a text, or None."""
    for name, value in values.items():
        if value is not None and not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{name} must be a text, not {value!r}")


def require_whole(minimum: float, **values: int) -> None:
    """Raise `TypeError` unless each value is a whole number, and `ValueError` for one that is below the minimum."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{name} must be a whole number, not {value!r}")
    require_at_least(minimum, **values)


def require_positive(**values: float) -> None:
    """Raise `TypeError` unless each value is a number, and `ValueError` unless it is above 0."""
    for name, value in values.items():
        _require_number(name, value)
        if not value > 0:
            raise ValueError(f"{name} must be more than 0, not {value!r}")


def require_at_least(minimum: float, **values: float) -> None:
    """Raise `TypeError` unless each value is a number, and `ValueError` for one that is below the minimum."""
    for name, value in values.items():
        _require_number(name, value)
        if not value >= minimum:
            raise ValueError(f"{name} must be {minimum} or more, not {value!r}")


def _require_number(name: str, value: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{name} must be a number, not {value!r}")
