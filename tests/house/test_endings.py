#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/endings.md says what ends a program or a VM: all of it, and nothing that is not so. Reads the tree that it lies in."""
import os
import re
import unittest

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
PAGE = "docs/endings.md"
TOPS = ("common", "guest-proxy", "host-proxy", "protocol")
ELSEWHERE = ("host-proxy/gpu", "host-proxy/config-file.c", "common/transport/address")     # these serve no application

# Whoever calls one of these ends something, with the words that it gives.
ENDERS = ("relay_fail", "relay_bad_message", "refuse_fd", "file_problem", "ends_failf", "ends_overf", "client_fail", "guest_client_turn_away",
          "connection_fail", "connection_refuse", "helper_fail", "uplink_lost", "session_end", "visitor_turn_away", "refuse", "refuse_socket", "process_kill",
          "error")
# Parts of texts that say nothing alone.
PARTS = {", message ", "message "}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def sources():
    for top in TOPS:
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), ROOT)
                if path.endswith((".c", ".h")) and not path.startswith(ELSEWHERE):
                    yield path


def plain(text):
    """Without what is filled in."""
    text = re.sub(r"%[-+ #0-9.*]*(?:hh|h|ll|l|z|j)?[a-zA-Z]", "…", text.removeprefix("wayvsock: ").replace('\\"', '"'))
    return re.sub("…+", "…", text).removesuffix(": …").removesuffix(" …")


def texts(code):
    """The strings in a piece of C; those that stand beside each other are one."""
    for run in re.finditer(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*', code):
        yield "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', run[0]))


def calls(code, name):
    """The arguments of each call."""
    for call in re.finditer(rf"(?<![\w.>]){name}\(", code):
        depth, at = 1, call.end()
        while depth and at < len(code):
            depth += {"(": 1, ")": -1}.get(code[at], 0)
            at += 1
        yield code[call.end():at]


class Endings(unittest.TestCase):
    def nothing(self, wrong, rule):
        if wrong:
            self.fail("\n".join([rule, *(f"  {line}" for line in wrong)]))

    def test_all_are_there(self):
        page = re.sub("…+", "…", read(PAGE))
        wrong = [f"{path}: {text}" for path in sources() if path.endswith(".c")
                 for name in ENDERS for call in calls(read(path), name) for text in texts(call)
                 if " " in text and text not in PARTS and plain(text) not in page]
        self.nothing(wrong, f"{PAGE} does not say who is protected by:")

    def test_all_are_true(self):
        known = "\n".join(plain(text) for path in sources() for text in texts(read(path)))
        wrong = [text for line in read(PAGE).splitlines() if line.startswith("|")
                 for text in re.findall("`([^`]+)`", line) if " " in text and plain(text) not in known]
        self.nothing(wrong, f"{PAGE} has texts that nobody says:")

    def test_limits(self):
        """The constants are where the page says."""
        table = read(PAGE).partition("## Limits")[2]
        rows = [re.findall("`([^`]+)`", line) for line in table.splitlines() if re.match(r"\|.*`.*/.*` \|$", line)]
        self.assertGreater(len(rows), 8)
        wrong = [f"{path} has no {name}" for *names, path in rows for name in names
                 if not re.search(rf"\b{name}\b", read(path))]
        self.nothing(wrong, f"{PAGE} names limits that are not there:")


if __name__ == "__main__":
    unittest.main()
