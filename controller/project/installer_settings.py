"""What of this machine's package indexes, proxies and certificates a pod installs with.

An address of this machine or its network is of no use on a rented pod: it stays here, which is
said. One with a login in it is a secret: asked for once, handed over on standard input, kept by the
pod in memory until everything is installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.credentials.secret import Secret
from controller.project.environment_files import text_of
from controller.project.installer_address import Address, parse
from controller.project.installer_config import (
    CERTIFICATE,
    DEFAULT,
    EXTRA,
    LINKS,
    PROXY,
    TRUSTED,
    Told,
    of_pip,
    of_uv,
)
from controller.transfer import certificate_bundle as authorities
from jobs.stage import EnvironmentNeed, Stage
from remote import requirements
from remote.pod.installer_settings import NAME

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
PLAIN = ("UV_INDEX_STRATEGY", "UV_HTTP_TIMEOUT", "PIP_DEFAULT_TIMEOUT")  # taken as they are
OFF = "environment.settings = false keeps them here"


@dataclass(frozen=True)
class Setting:
    """`name` is what it is called where it is asked for; `variables` what a pod is given."""

    name: str
    shown: str
    variables: Mapping[str, str] = field(repr=False)
    secret: bool = False
    stays: str = ""  # why it is not sent


@dataclass(frozen=True)
class Settings:
    """All of them. `certificates` is a PEM text, `authorities` where it is from."""

    every: tuple[Setting, ...] = ()
    certificates: str = ""
    authorities: tuple[str, ...] = ()

    @property
    def sent(self) -> tuple[Setting, ...]:
        return tuple(one for one in self.every if not one.stays)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of what is sent and has a login in it."""
        return tuple(dict.fromkeys(one.name for one in self.sent if one.secret))

    def document(self) -> dict[str, object]:
        """For the pod alone: values are in the clear."""
        variables: dict[str, list[str]] = {}
        for one in self.sent:
            for name, value in one.variables.items():
                variables.setdefault(name, []).append(value)
        joined = {name: _between(name).join(dict.fromkeys(v)) for name, v in variables.items()}
        return {"variables": joined, "certificates": self.certificates}

    def lines(self) -> Iterator[str]:
        """What a person is told, a line each."""
        told = [f"{one.name} {one.shown}".strip() for one in self.sent]
        told += [f"certificates of {', '.join(self.authorities)}"] if self.certificates else []
        if told:
            yield f"installs with this machine's {'; '.join(dict.fromkeys(told))} ({OFF})"
        for one in self.every:
            if one.stays:
                yield f"{one.name} {one.shown} stays here: {one.stays}"


def applies(need: EnvironmentNeed) -> bool:
    """Whether a pod may have to install anything for a stage, and may know how."""
    return need.settings and (need.kind != "none" or need.install is not None)


def settings_of(
    root: Path,
    stages: Iterable[Stage],
    *,
    emulated: bool,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """What holds here for the stages that install anything. Hides what is secret from here on."""
    needs = [stage.environment for stage in stages if applies(stage.environment)]
    if not needs:
        return Settings()
    uv, pip = of_uv(environ), of_pip(environ)
    indexes = [one for one in uv if one.kind in (DEFAULT, EXTRA, LINKS)]
    indexes = indexes or [one for one in pip if one.kind in (DEFAULT, EXTRA, LINKS)]
    every = [
        *_indexes(indexes, emulated=emulated),
        *_logins(environ),
        *_trusted([*uv, *pip]),
        *_proxies(environ, pip, emulated=emulated),
        *_variables(root, needs, environ),
        *(_plain(name, environ[name]) for name in PLAIN if environ.get(name)),
    ]
    more = {one.by: one.value for one in pip if one.kind == CERTIFICATE}
    text, sources = authorities.bundle(authorities.named(environ, more))
    return Settings(tuple(every), text, sources)


def _indexes(told: Iterable[Told], *, emulated: bool) -> Iterator[Setting]:
    default = False
    for one in told:
        if one.kind == DEFAULT and default:
            continue  # the first one holds
        default = default or one.kind == DEFAULT
        found = parse(one.value)
        # pip knows an index by its address alone.
        names = {
            DEFAULT: {"UV_DEFAULT_INDEX": found.text, "PIP_INDEX_URL": found.bare},
            EXTRA: {"UV_INDEX": found.text, "PIP_EXTRA_INDEX_URL": found.bare},
            LINKS: {"UV_FIND_LINKS": found.text, "PIP_FIND_LINKS": found.text},
        }[one.kind]
        yield _setting(one.by, found, names, emulated=emulated)


def _setting(by: str, found: Address, variables: Mapping[str, str], *, emulated: bool) -> Setting:
    stays = found.stays(emulated=emulated)
    for part in (*found.secrets, *([found.text] if found.secrets else [])):
        Secret(part)
    return Setting(by, found.shown, variables, bool(found.secrets), stays)


def _logins(environ: Mapping[str, str]) -> Iterator[Setting]:
    """uv's own way of giving a named index its login."""
    for name in sorted(environ):
        if name.startswith("UV_INDEX_") and name.endswith(("_USERNAME", "_PASSWORD")):
            yield _login(name, environ[name])


def _trusted(told: Iterable[Told]) -> Iterator[Setting]:
    for one in told:
        if one.kind == TRUSTED:
            names = ("UV_INSECURE_HOST", "PIP_TRUSTED_HOST")
            yield Setting(one.by, one.value, dict.fromkeys(names, one.value))


def _proxies(
    environ: Mapping[str, str], pip: Iterable[Told], *, emulated: bool
) -> Iterator[Setting]:
    found: list[tuple[str, str, tuple[str, ...]]] = [
        (name, environ.get(name.lower()) or environ.get(name, ""), (name, name.lower()))
        for name in PROXIES
    ]
    said = [one for one in found if one[1]]
    for one in () if said else pip:
        if one.kind == PROXY:
            both = ("HTTPS_PROXY", "HTTP_PROXY")
            said.append((one.by, one.value, (*both, *map(str.lower, both))))
    sent = False
    for by, value, names in said:
        setting = _setting(by, parse(value), dict.fromkeys(names, value), emulated=emulated)
        sent = sent or not setting.stays
        yield setting
    without = environ.get("no_proxy") or environ.get("NO_PROXY", "")
    if sent and without:
        names = ("NO_PROXY", "no_proxy")
        yield Setting("NO_PROXY", "", dict.fromkeys(names, without))


def _variables(
    root: Path, needs: Iterable[EnvironmentNeed], environ: Mapping[str, str]
) -> Iterator[Setting]:
    """Those that requirements files name as `${NAME}`: mostly logins."""
    names = {name for need in needs for name in requirements.variables(text_of(root, need))}
    for name in sorted(names):
        if environ.get(name) and NAME.fullmatch(name):
            yield _login(name, environ[name])


def _login(name: str, value: str) -> Setting:
    Secret(value)
    return Setting(name, "", {name: value}, secret=True)


def _plain(name: str, value: str) -> Setting:
    return Setting(name, value, {name: value})


def _between(variable: str) -> str:
    """What stands between the values of a variable that may have several."""
    return "," if variable == "UV_FIND_LINKS" else " "
