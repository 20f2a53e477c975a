"""Countries with their capitals and continents."""

from __future__ import annotations

from .word_lists import word_list

_COUNTRIES = word_list("countries")
# By country, every accepted name of its capital.
CAPITALS: dict[str, tuple[str, ...]] = {row["country"]: tuple(row["capital"]) for row in _COUNTRIES}
CONTINENTS: dict[str, str] = {row["country"]: row["continent"] for row in _COUNTRIES}
EVERY_CONTINENT = ("Africa", "Europe", "Asia", "North America", "South America", "Oceania")
# By continent, every accepted name.
CONTINENT_NAMES: dict[str, tuple[str, ...]] = {
    name: (name, "Australasia") if name == "Oceania" else (name,) for name in EVERY_CONTINENT
}
