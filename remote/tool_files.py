"""Names of files that the tools on a laptop run, or read by themselves, where they find them.

A repository's configuration names programs that the next `git status` runs; editors, shells,
test runners and language tools have files of the same kind. From a pod such files do not travel:
repositories never, the rest only where an output names them literally.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping

from .names import HIDDEN

REPOSITORY = "git and its like take it for a repository, and run what it says"
BY_ITSELF = "tools run or read it by themselves: an output that names it literally has it travel"

_HIDDEN = re.compile(f"[{HIDDEN}]")
_REPOSITORIES = (".git", ".hg", ".svn", ".bzr", ".jj", "_darcs", ".pijul")
_SHORT_NAME = re.compile(r"(git|hg|svn|bzr|jj)~\d+")  # 8.3 names of these
_BARE = ({"head", "objects", "refs"}, {"head", "commondir"})
_PARTS = frozenset(("head", "objects", "refs", "commondir"))
_ANATOMY = re.compile(f"(?i)head|objects|refs|commondir|[{HIDDEN}]")

# Folders and files, in lower case, at any depth.
_FOLDERS = """
.vscode .idea .vs .fleet .zed .nova .devcontainer .cursor .claude .gemini .windsurf .continue
.github .gitlab .circleci .husky .githooks .gitea .forgejo .buildkite .woodpecker .ssh .emacs.d
.vim .nvim .ipython .jupyter .bundle .cargo .mise .direnv .mvn .run
"""
_FILES = """
.envrc .env .env.local .tool-versions .mise.toml mise.toml .rtx.toml conftest.py
sitecustomize.py usercustomize.py pytest.ini .pytest.ini tox.ini setup.cfg setup.py
pyproject.toml noxfile.py mypy.ini .mypy.ini .pylintrc pylintrc .coveragerc .flake8 ruff.toml
.ruff.toml .pdbrc .pythonrc .pypirc pip.conf .condarc ipython_config.py
jupyter_notebook_config.py jupyter_server_config.py jupyter_lab_config.py
.pre-commit-config.yaml .pre-commit-config.yml .pre-commit-hooks.yaml lefthook.yml makefile
gnumakefile bsdmakefile justfile .justfile taskfile.yml taskfile.yaml rakefile gemfile
cmakelists.txt cmakepresets.json cmakeuserpresets.json build.gradle build.gradle.kts
settings.gradle settings.gradle.kts gradle.properties pom.xml build.rs .bazelrc workspace.bazel
.gitlab-ci.yml .travis.yml .appveyor.yml azure-pipelines.yml jenkinsfile .drone.yml .bashrc
.bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv .zprofile .zlogin
.zlogout .kshrc .mkshrc .cshrc .tcshrc .login .logout .inputrc .xprofile .xinitrc .xsession
.xsessionrc .netrc .curlrc .wgetrc .screenrc .tmux.conf .npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs
.pnpmfile.mjs pnpm-workspace.yaml .babelrc .eslintrc .eslintrc.js .eslintrc.cjs .eslintrc.json
.eslintrc.yml .eslintrc.yaml eslint.config.js eslint.config.mjs eslint.config.cjs
eslint.config.ts .prettierrc .prettierrc.js .prettierrc.cjs prettier.config.js .vimrc .gvimrc
.exrc .nvimrc .nvim.lua _vimrc .viminfo .emacs .dir-locals.el .dir-locals-2.el .editorconfig
.lldbinit .gdbinit .lesskey .gitattributes .gitmodules .gitconfig .gitignore
.git-blame-ignore-revs .hgrc .hgsub .devcontainer.json .mcp.json claude.md agents.md gemini.md
.cursorrules .windsurfrules .sbtopts .jvmopts .rprofile .renviron .irbrc .pryrc .ghci .octaverc
.psqlrc .sqliterc .mongorc.js desktop.ini autorun.inf .directory authorized_keys
"""
FOLDERS, FILES = frozenset(_FOLDERS.split()), frozenset(_FILES.split())
ENDINGS = (".code-workspace", ".sublime-project", ".desktop", ".lnk", ".url", ".webloc", ".scf")


@functools.lru_cache(4096)
def plain(part: str) -> str:
    """A name as the most lenient of file systems and tools takes it."""
    if not part.isascii():
        part = _HIDDEN.sub("", unicodedata.normalize("NFC", part)).casefold()
    return part.lower().partition(":")[0].rstrip(" .\t\r\n")


def left_out(
    paths: Iterable[str],
    patterns: Iterable[str],
    matches: Callable[[str, str], bool],
    names_in: Mapping[str, Iterable[str]] | None = None,
) -> dict[str, tuple[str, str]]:
    """Path to (what of it is the reason, why) for those that do not travel.

    `matches` tells whether a pattern names a path; `here` has the names that stand in a folder
    already.
    """
    every, globs = (
        list(paths),
        [(pattern, set(map(plain, pattern.split("/")))) for pattern in patterns],
    )
    bare = _bare(every, names_in or {})
    matches_of: dict[str, tuple[str, str]] = {}
    for path in every:
        parts = path.split("/")
        names = [plain(part) for part in parts]
        if depth := _repository(parts, names, bare):
            matches_of[path] = "/".join(parts[:depth]), REPOSITORY
        elif depth := _by_itself(names):
            part = names[depth - 1]
            if not any(part in literal and matches(pattern, path) for pattern, literal in globs):
                matches_of[path] = "/".join(parts[:depth]), BY_ITSELF
    return matches_of


def _repository(parts: list[str], names: list[str], bare: set[str]) -> int:
    """Down to which part a path leads into a repository; 0 when it does not."""
    for depth, part in enumerate(parts, 1):
        if names[depth - 1] in _REPOSITORIES or is_repository(part):
            return depth
        if bare and "/".join(parts[:depth]) in bare:
            return depth
    return 1 if "" in bare and names[0] in _PARTS else 0


def is_repository(part: str) -> bool:
    """Whether some git, or one of its like, takes a folder of this name for its own."""
    if "\\" in part:
        return any(map(is_repository, part.split("\\")))
    name = plain(part)
    return name in _REPOSITORIES or ("~" in name and bool(_SHORT_NAME.fullmatch(name)))


def _by_itself(names: list[str]) -> int:
    """Down to which part a tool would take notice; 0 when none would."""
    for depth, name in enumerate(names, 1):
        if name in FOLDERS:
            return depth
    last = names[-1]
    return len(names) if last in FILES or last.endswith(ENDINGS) else 0


def suspects(paths: Iterable[str]) -> dict[str, set[str]]:
    """Folders in which a path has a name that a repository's folder has, with these names."""
    names_in: dict[str, set[str]] = {}
    for path in paths:
        if not _ANATOMY.search(path):  # most paths, at once
            continue
        parts = path.split("/")
        for depth, part in enumerate(parts):
            if plain(part) in _PARTS:
                names_in.setdefault("/".join(parts[:depth]), set()).add(plain(part))
    return names_in


def _bare(paths: Iterable[str], names_in: Mapping[str, Iterable[str]]) -> set[str]:
    """Folders that are repositories without being called so."""
    suspects_in = suspects(paths)
    for folder in suspects_in:
        suspects_in[folder] |= set(map(plain, names_in.get(folder, ())))
    return {
        folder
        for folder, names in suspects_in.items()
        if any(markers <= names for markers in _BARE)
    }
