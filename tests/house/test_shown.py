#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pages whose tables name the tests that show what they say ("shown by") name tests that there are. Reads the tree that it lies in."""
import os
import re
import unittest

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
HEAD = re.compile(r"^\|.*\| shown by \|$")
NOTHING = "–"


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def pages():
    for name in sorted(os.listdir(os.path.join(ROOT, "docs"))):
        if name.endswith(".md"):
            yield f"docs/{name}"


def rows(text):
    """The last cell of each row of such a table, with the row's number."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        inside = bool(HEAD.match(line)) or inside and line.startswith("|")
        if inside and not HEAD.match(line) and not line.startswith("|---"):
            yield number, line.rstrip("|").rpartition("|")[2].strip()


def named(cell):
    """(file, test) of "`FILE`: `TEST`, `TEST`; `FILE`: …"; None of a part that is not written so."""
    for part in cell.split("; "):
        match = re.fullmatch(r"`(tests/[\w/]+\.(?:py|c))`: (`\w+`(?:, `\w+`)*)", part)
        if not match:
            yield part, None
            continue
        for test in re.findall(r"`(\w+)`", match[2]):
            yield match[1], test


def has(path, test):
    if not os.path.exists(os.path.join(ROOT, path)):
        return False
    before = "^def" if path.endswith(".py") else "^static void"
    return re.search(rf"{before} {test}\(", read(path), re.M) is not None


class Shown(unittest.TestCase):
    def test_tests_are_there(self):
        wrong = [f"{page}:{number}: {path}: {test or 'write `FILE`: `TEST`, `TEST`'}"
                 for page in pages() for number, cell in rows(read(page)) if cell != NOTHING
                 for path, test in named(cell) if not test or not has(path, test)]
        self.assertEqual(wrong, [], "no such test")

    def test_there_are_such_tables(self):
        self.assertTrue([page for page in pages() if list(rows(read(page)))])

    def test_this_test(self):
        text = "| a | shown by |\n|---|---|\n| x | `tests/house/test_shown.py`: `y` |\n| z | – |\nend\n| no | table |\n"
        self.assertEqual([cell for _, cell in rows(text)], ["`tests/house/test_shown.py`: `y`", NOTHING])
        self.assertEqual(list(named("`tests/a.py`: `b`, `c`; `tests/d.c`: `e`")), [("tests/a.py", "b"), ("tests/a.py", "c"), ("tests/d.c", "e")])
        self.assertEqual(list(named("by hand")), [("by hand", None)])


if __name__ == "__main__":
    unittest.main()
