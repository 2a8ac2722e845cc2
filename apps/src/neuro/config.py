"""Settings of a command: defaults, then a TOML file, then flags; a key that is not known is an error."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")


class ConfigError(ValueError):
    """A setting that is not known or not allowed."""


def resolve(
    settings: type[T], *, file: Path | None = None, assignments: Iterable[str] = (), flags: Mapping[str, Any]
) -> T:
    """The settings that hold.

    Args:
        settings: a (nested) frozen dataclass with a default for every field; its `__post_init__`s validate.
        file: TOML file, over the defaults.
        assignments: "section.key=value", over the file; the value is TOML, or a plain string.
        flags: dotted key to value, over all; None stands for a flag that was not given.

    Raises:
        ConfigError: unknown key (with the nearest known one), or a value that is not allowed.
        FileNotFoundError: no such file.
    """
    known = dict(_leaves(settings))
    merged: dict[str, Any] = {}
    for key, value in _read_toml(file).items() if file else ():
        merged[_known(key, known, str(file))] = value
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: expected section.key=value")
        merged[_known(key.strip(), known, "--set")] = _parse_value(value.strip())
    merged.update({_known(key, known, "flag"): value for key, value in flags.items() if value is not None})
    return _build(settings, merged)


def to_toml(settings: Any) -> str:
    """Settings as a TOML document that `resolve` reads back."""
    import tomli_w

    return tomli_w.dumps(asdict(settings))


def from_toml(settings: type[T], file: Path) -> T:
    """Settings as a run folder's `config.toml` holds them."""
    return resolve(settings, file=file, flags={})


def _leaves(settings: type, prefix: str = "") -> Iterable[tuple[str, Any]]:
    hints = get_type_hints(settings)
    for field in fields(settings):
        hint = hints[field.name]
        if is_dataclass(hint) and isinstance(hint, type):
            yield from _leaves(hint, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", hint


def _known(key: str, known: Mapping[str, Any], where: str) -> str:
    if key in known:
        return key
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    close = close or [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]][:1]
    hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
    raise ConfigError(f"{where}: unknown setting {key!r}{hint}")


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from error
    return _flatten(document)


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _build(settings: type[T], flat: Mapping[str, Any]) -> T:
    from pydantic import TypeAdapter, ValidationError

    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *path, leaf = key.split(".")
        table = nested
        for part in path:
            table = table.setdefault(part, {})
        table[leaf] = value
    try:
        return TypeAdapter(settings).validate_python(nested)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        found = f", got {first['input']!r}" if first["type"] != "value_error" else ""
        raise ConfigError(f"{place}: {message}{found}" if place else f"{message}{found}") from error
