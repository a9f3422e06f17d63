"""Builds the site: `python docs/_site.py [FOLDER]` writes its pages to FOLDER/pages and the site to FOLDER/site (default: build).

README, changelog and so on are pages besides those in docs/, and so is each example program. Links are written for the
forge, as paths in the repository; here they become links between the site's pages. Then Zensical makes the site of them.
"""

import ast
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
ARTICLE = re.compile(r"<article\b.*</article>", re.DOTALL)
CODE = re.compile(r"<(pre|code|script)\b.*?</\1>", re.DOTALL)
LEFT_OVER = re.compile(r"^\s*[-|] |```", re.MULTILINE)
TITLE = re.compile(r"(?P<title>.*?)(?:: (?P<command>`[^`]*`))?\.(?=\s|$)(?P<rest>.*)", re.DOTALL)
LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?![a-z]+:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")

PAGES = {"README.md": "index.md"} | {name: name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")}
"""Path in the repository → page of the site, for those that are not in docs/."""
PROGRAMS = {
    (path := program.relative_to(ROOT).as_posix()): path.removeprefix("docs/").removesuffix(".py") + ".md"
    for program in sorted(DOCS.glob("examples/**/*.py"))
}
"""The same for the example programs."""
UNSEARCHED = ("docs/design.md", "docs/examples/everyday/official/")
"""Pages and folders that the search does not find: they are for those who change this library, or about another one."""
HIDDEN = "---\nsearch: { exclude: true }\n---\n\n"
"""Begins such a page."""
FIGURES = ("assets/*", "performance/*.svg")


def build(folder: Path) -> None:
    """Build the site in a folder. Raise `SystemExit` if a link has no target, or anything else is wrong with it."""
    shutil.rmtree(folder / "pages", ignore_errors=True)
    texts = dict(_texts())
    for uri, text in texts.items():
        (folder / "pages" / uri).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pages" / uri).write_text(text)
    for figure in (found for pattern in FIGURES for found in DOCS.glob(pattern)):
        (folder / "pages" / figure.relative_to(DOCS)).parent.mkdir(exist_ok=True)
        shutil.copyfile(figure, folder / "pages" / figure.relative_to(DOCS))
    settings = Path(shutil.copy(DOCS / "zensical.toml", folder))
    navigation = tomllib.loads(settings.read_text())["project"]["nav"]
    _check_navigation(navigation, texts)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}  # the reference is that of this package
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(settings)]
    if code := subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:  # noqa: S603 # our own files
        raise SystemExit(code)
    for page in sorted((folder / "site").rglob("*.html")):
        _check_page(page)
    for page, _, anchor in (uri.partition("#") for uri in _named(navigation) if "#" in uri):
        if f' id="{anchor}"' not in (folder / "site" / page).read_text():
            raise SystemExit(f"docs/zensical.toml: {page} has no section #{anchor}")


def _texts() -> Iterator[tuple[str, str]]:
    """Return the address and the text of each page."""
    for path in [*PAGES, *(page.relative_to(ROOT).as_posix() for page in sorted(DOCS.glob("**/*.md")))]:
        uri = PAGES.get(path, path.removeprefix("docs/"))
        yield uri, _header(path) + _linked((ROOT / path).read_text(), uri, posixpath.dirname(path))
    for path, uri in PROGRAMS.items():
        yield uri, _shown(path)


def _header(path: str) -> str:
    """Return what a page begins with for Zensical."""
    return HIDDEN if path.startswith(UNSEARCHED) else ""


def _shown(path: str) -> str:
    """Return the page of a program: its docstring, and below it its code."""
    program = (ROOT / path).read_text()
    tree = ast.parse(program)
    text = TITLE.match(ast.get_docstring(tree) or "")
    if text is None:
        raise SystemExit(f"{path} does not begin with a docstring of a sentence")
    command = f"Start it with {text['command']}." if text["command"] else ""
    code = "".join(program.splitlines(keepends=True)[tree.body[0].end_lineno :]).lstrip("\n")
    return f"{_header(path)}# {text['title']}\n\n{command}{text['rest']}\n\n`{path}`\n\n```python\n{code}```\n"


def _linked(markdown: str, uri: str, folder: str) -> str:
    """Turn links to files of the repository into links to pages; one to what is no page becomes its text."""

    def turned(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link["path"]))
        there = (PAGES | PROGRAMS).get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        if there is None:
            return link["text"]
        return f"[{link['text']}]({posixpath.relpath(there, posixpath.dirname(uri) or '.')}{link['anchor'] or ''})"

    return LINK.sub(turned, markdown)


def _check_navigation(entries: list[Any], texts: Mapping[str, str]) -> None:
    """Refuse a page that does not exist, and one that is in no place of the navigation, which Zensical lets pass."""
    named = {
        re.sub(r"\.html#.*", ".md", uri) for uri in _named(entries)
    }  # a section is named by its address in the site
    others = {uri for uri in texts if not uri.startswith("examples/")}
    if odd := (named - texts.keys()) | (others - named):
        raise SystemExit(f"docs/zensical.toml: the navigation and the pages differ in {sorted(odd)}")


def _named(entry: Any) -> Iterator[str]:
    for each in entry.values() if isinstance(entry, dict) else entry:
        yield from [each] if isinstance(each, str) else _named(each)


def _check_page(page: Path) -> None:
    """Look for lists and tables that the forge makes of the text and this site does not: a blank line is missing."""
    article = ARTICLE.search(page.read_text())
    if article and (found := LEFT_OVER.search(text := CODE.sub("", article[0]))):
        raise SystemExit(f"{page} has Markdown left over: {text[found.start() :][:60]!r}")


if __name__ == "__main__":
    build(Path(*sys.argv[1:2] or [ROOT / "build"]).resolve())
