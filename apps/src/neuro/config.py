"""Settings of a command: defaults, then a TOML file, then flags; a key that is not known is an error."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")


class ConfigError(ValueError):
    """A setting that is not known or not allowed."""


def resolve(
    settings: type[T],
    *,
    flags: Mapping[str, Any],
    file: Path | None = None,
    assignments: Iterable[str] = (),
    base: Path | None = None,
    inherited: Mapping[str, Any] | None = None,
) -> T:
    """The settings that hold.

    Args:
        settings: a (nested) frozen dataclass with a default for every field; its `__post_init__`s validate.
        inherited: dotted key to value, over the defaults: what the run has that a model is of.
        base: TOML file, over these: the settings of the run that goes on.
        file: TOML file, over the base.
        assignments: "section.key=value", over the file; the value is TOML, or a plain string.
        flags: dotted key to value, over all; None stands for a flag that was not given.

    Raises:
        ConfigError: unknown key (with the nearest known one), or a value that is not allowed.
        FileNotFoundError: no such file.
    """
    known = dict(_leaves(settings))
    # the instance's own defaults: a section's class may have others
    merged = flat_settings(settings())
    origins: dict[str, str] = {}
    for key, value, where in _layers(inherited or {}, base, file, assignments, flags):
        merged[_known(key, known, where)] = value
        origins[key] = where
    return _build(settings, merged, origins)


def to_toml(settings: Any) -> str:
    """Settings as a TOML document that `resolve` reads back; what is None is left out, as TOML has no word for it."""
    import tomli_w

    return tomli_w.dumps(_without_none(asdict(settings)))


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def flat_settings(settings: Any) -> dict[str, Any]:
    """Dotted key to value."""
    return _flatten(asdict(settings))


def from_toml(settings: type[T], file: Path) -> T:
    """Settings as a run folder's `config.toml` holds them."""
    return resolve(settings, file=file, flags={})


def _layers(
    inherited: Mapping[str, Any],
    base: Path | None,
    file: Path | None,
    assignments: Iterable[str],
    flags: Mapping[str, Any],
) -> Iterator[tuple[str, Any, str]]:
    """Key, value and where it was given, the later over the earlier."""
    for key, value in inherited.items():
        yield key, value, "the run's config.toml"
    for path in (base, file):
        for key, value in read_toml(path).items() if path else ():
            yield key, value, str(path)
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: expected section.key=value")
        yield key.strip(), _parse_value(value.strip()), "--set"
    for key, value in flags.items():
        if value is not None:
            yield key, value, ""


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
    inside = [name for name in known if name.startswith(f"{key}.")]
    if inside:
        raise ConfigError(f"{where}: {key!r} is a section; set one of {', '.join(inside)}")
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    close = close or [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]][:1]
    hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
    raise ConfigError(f"{where}: unknown setting {key!r}{hint}")


def read_toml(file: Path) -> dict[str, Any]:
    """Dotted key to value."""
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


def _build(settings: type[T], flat: Mapping[str, Any], origins: Mapping[str, str]) -> T:
    from pydantic import TypeAdapter, ValidationError

    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *path, leaf = key.split(".")
        table = nested
        for part in path:
            table = table.setdefault(part, {})
        table[leaf] = value
    try:
        # JSON, strictly: a list is a tuple, an integer is a float, and nothing else is what it is not
        return TypeAdapter(settings).validate_json(json.dumps(nested, default=str), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        found = f", got {first['input']!r}" if first["type"] != "value_error" else ""
        given = dict.fromkeys(origins[key] for key in origins if _overlap(key, place) and origins[key])
        raise ConfigError(": ".join(filter(None, (", ".join(given), place, message + found)))) from error


def _overlap(key: str, place: str) -> bool:
    """True if one of two dotted keys lies in the other."""
    return not place or f"{key}.".startswith(f"{place}.") or f"{place}.".startswith(f"{key}.")
