"""Countries with their capitals and continents."""

from __future__ import annotations

from .word_lists import word_list

_COUNTRIES = word_list("countries")
# By country, every accepted name of its capital.
_IN_ITS_LANGUAGE = {
    "Havana": "La Habana", "Vienna": "Wien", "Rome": "Roma", "Lisbon": "Lisboa",
    "Warsaw": "Warszawa", "Prague": "Praha", "Copenhagen": "K\u00f8benhavn",
    "Brussels": "Bruxelles", "Belgrade": "Beograd", "Moscow": "Moskva", "Beijing": "Peking",
}  # fmt: skip
CAPITALS: dict[str, tuple[str, ...]] = {
    row["country"]: tuple(
        dict.fromkeys(
            (*row["capital"], *filter(None, map(_IN_ITS_LANGUAGE.get, row["capital"][:1])))
        )
    )
    for row in _COUNTRIES
}
CONTINENTS: dict[str, str] = {row["country"]: row["continent"] for row in _COUNTRIES}
EVERY_CONTINENT = ("Africa", "Europe", "Asia", "North America", "South America", "Oceania")
# By continent, every accepted name.
CONTINENT_NAMES: dict[str, tuple[str, ...]] = {
    name: (name, "Australasia") if name == "Oceania" else (name,) for name in EVERY_CONTINENT
}
