"""Count the lines of the everyday programs, here and with the official SDK: `python count.py`.

It counts lines with code, imports included, without blank lines, comments and docstrings. ruff formats all programs at
120 columns.
"""

import ast
import io
import tokenize
from pathlib import Path

HERE = Path(__file__).parent
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines(program: Path) -> int:
    """Return the number of lines with code."""
    text = program.read_text(encoding="utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [each for each in ast.walk(ast.parse(text)) if isinstance(each, documented) and ast.get_docstring(each)]
    tokens = [each for each in tokenize.generate_tokens(io.StringIO(text).readline) if each.type not in NO_CODE]
    code = {line for each in tokens for line in range(each.start[0], each.end[0] + 1)}
    return len(code - {line for each in nodes for line in range(each.body[0].lineno, each.body[0].end_lineno + 1)})


if __name__ == "__main__":
    for official in sorted(HERE.glob("official/*.py")):
        ours = HERE / "ours" / official.name
        print(f"{official.stem:20}{lines(ours) if ours.exists() else 0:5}{lines(official):5}")
