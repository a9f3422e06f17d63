"""What the site shows besides the pages in docs/: README, changelog and so on, and each example program as a page.

Links are written for the forge, as paths in the repository; here they are turned into links between the site's pages.
"""

import ast
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

logger = logging.getLogger("mkdocs.plugins.pages")

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"<(pre|code|script)\b.*?</\1>", re.DOTALL)
LEFT_OVER = re.compile(r"^\s*[-|] |```", re.MULTILINE)
LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?![a-z]+:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")

PAGES = {"README.md": "index.md"} | {name: name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")}
"""Path in the repository → page of the site, for those that are not in docs/."""
PROGRAMS = {
    (path := program.relative_to(ROOT).as_posix()): path.removeprefix("docs/").removesuffix(".py") + ".md"
    for program in sorted(ROOT.glob("docs/examples/**/*.py"))
}
"""The same for the example programs."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    for path, uri in PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text()))
    for path, uri in PROGRAMS.items():
        files.append(File.generated(config, uri, content=_shown(path)))
    return files


def _shown(path: str) -> str:
    program = (ROOT / path).read_text()
    title = re.split(r"[:.]( |$)", ast.get_docstring(ast.parse(program)) or path, maxsplit=1, flags=re.MULTILINE)[0]
    return f"# {title}\n\n`{path}`\n\n```python\n{program}```\n"


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links to files of the repository into links to pages; one to what is no page becomes its text."""
    sources = {uri: path for path, uri in PAGES.items()}
    uri = page.file.src_uri
    here = posixpath.dirname(sources.get(uri, f"docs/{uri}"))

    def turned(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(here, link["path"]))
        there = (PAGES | PROGRAMS).get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        if there is None:
            return link["text"]
        return f"[{link['text']}]({posixpath.relpath(there, posixpath.dirname(uri) or '.')}{link['anchor'] or ''})"

    return LINK.sub(turned, markdown)


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Look for lists and tables that the forge makes of the text and this site does not: a blank line is missing."""
    if found := LEFT_OVER.search(text := CODE.sub("", html)):
        logger.warning("%s has Markdown left over: %r", page.file.src_uri, text[found.start() :][:60])
    return html
