#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The house is in order: who includes whom, what a file is called, and how it begins. Reads the tree
that it lies in, and no more."""
import os
import re
import unittest

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
PICTURE = "docs/architecture.md"

# The floors, the lowest first: a folder, and the folders that its files may include from.
FLOORS = {"protocol": []}
FLOORS["common/base"] = ["protocol"]
FLOORS["common/sandbox"] = ["common/base", *FLOORS["common/base"]]
FLOORS["common/transport"] = ["common/base", *FLOORS["common/base"]]
FLOORS["common/carrier"] = ["common/transport", *FLOORS["common/transport"]]
FLOORS["common/services"] = ["common/carrier", *FLOORS["common/carrier"]]
FLOORS["common/wayland"] = ["common/carrier", *FLOORS["common/carrier"]]
# What people ask the daemons, and what answers.
FLOORS["common/control"] = ["common/services", "common/wayland", *FLOORS["common/wayland"]]
for proxy in ("guest-proxy", "host-proxy"):
    FLOORS[f"{proxy}/pixels"] = ["common/wayland", "common/sandbox", *FLOORS["common/wayland"]]
    FLOORS[proxy] = [f"{proxy}/pixels", "common/control", "common/services", *FLOORS[f"{proxy}/pixels"]]
# Beside the guest's daemon, a program of its own, which knows Wayland but not the host.
FLOORS["guest-proxy/x11"] = ["common/wayland", *FLOORS["common/wayland"]]
# Starts programs, and knows nothing of Wayland or of the link.
FLOORS["guest-proxy/run"] = ["common/transport", *FLOORS["common/transport"]]
FLOORS["guest-proxy"].insert(0, "guest-proxy/run")
# Writes the menu of a VM, in a process of its own.
FLOORS["host-proxy/menu"] = ["common/transport", "common/sandbox", *FLOORS["common/transport"]]
FLOORS["host-proxy"].insert(0, "host-proxy/menu")
# Beside them, the VM's devices, which know nothing of Wayland and are nobody's libraries.
FLOORS["common/vhost-user"] = ["common/transport", *FLOORS["common/transport"]]
FLOORS["host-proxy/gpu/renderer"] = ["common/transport", "common/sandbox", *FLOORS["common/transport"]]
for device in ("gpu", "vsock"):
    FLOORS[f"host-proxy/{device}"] = ["common/vhost-user", "common/sandbox", *FLOORS["common/vhost-user"]]
# What draws is a process of its own, which knows nothing of the VM.
FLOORS["host-proxy/gpu"].insert(0, "host-proxy/gpu/renderer")

# The command for people, which has nothing of a daemon.
FLOORS["command"] = ["common/control", "common/transport", "common/base", "protocol"]

TOPS = ("command", "common", "guest-proxy", "host-proxy", "protocol")

# A module is X.c with X.h and X-private.h. These sources belong to the module of another name.
PARTS = {
    "common/services/activations-guest": "common/services/activations",
    "common/services/activations-host": "common/services/activations",
    "common/transport/address-socket": "common/transport/address",
    "host-proxy/config-file": "host-proxy/config",
}

SPDX = "/* SPDX-License-Identifier: MIT */\n"


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def all_files():
    for top in TOPS:
        for folder, folders, names in os.walk(os.path.join(ROOT, top)):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(names):
                yield os.path.relpath(os.path.join(folder, name), ROOT)


FILES = list(all_files())
SOURCES = [path for path in FILES if path.endswith((".c", ".h", ".def"))]
# Every #include of a file of ours: (who, whom).
INCLUDES = [(path, match[2]) for path in SOURCES
            for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', read(path), re.M)
            if match[1] == '"' or os.path.exists(os.path.join(ROOT, match[2]))]


def folder_of(path):
    return os.path.dirname(path)


def module_of(path):
    name = os.path.splitext(path)[0].removesuffix("-private")
    return PARTS.get(name, name)


def circles(graph):
    """The shortest circle through each node that is in one, each circle once."""
    found = {}
    for start in sorted(graph):
        ways, seen = [[start]], set()
        while ways:
            way = ways.pop(0)
            if start in graph[way[-1]]:
                found.setdefault(frozenset(way), [*way, start])
                break
            for step in sorted(graph[way[-1]] - seen):
                seen.add(step)
                ways.append([*way, step])
    return list(found.values())


def uses():
    """What each folder includes from, the nearest floor first; as far as it may."""
    order = list(reversed(FLOORS))
    return {folder: sorted({folder_of(included) for path, included in INCLUDES
                            if folder_of(path) == folder and folder_of(included) in below}, key=order.index)
            for folder, below in FLOORS.items()}


class House(unittest.TestCase):
    def nothing(self, wrong, rule):
        if wrong:
            self.fail("\n".join([rule, *(f"  {line}" for line in wrong)]))

    def test_floors(self):
        """An include goes to a file that is there, on the same floor or a lower one."""
        wrong = []
        for path, included in INCLUDES:
            if included not in SOURCES:
                wrong.append(f"{path}: {included} is not a file below {', '.join(TOPS)}")
            elif folder_of(path) not in FLOORS:
                wrong.append(f"{path}: its folder is on no floor")
            elif folder_of(included) not in (folder_of(path), *FLOORS[folder_of(path)]):
                wrong.append(f"{path} includes {included}")
        self.nothing(wrong, "Includes go to the same floor or a lower one, see FLOORS:")

    def test_modules(self):
        """A source has a header of its name, unless it is a program's or belongs to another module."""
        alone = {os.path.splitext(path)[0] for path in SOURCES
                 if path.endswith(".c") and path[:-2] + ".h" not in SOURCES and not path.endswith("/main.c")}
        self.nothing(sorted(alone - PARTS.keys()), "Sources without a header of their name:")

    def test_circles(self):
        graph = {module_of(path): set() for path in SOURCES}
        for path, included in INCLUDES:
            if module_of(path) != module_of(included) and included in SOURCES:
                graph[module_of(path)].add(module_of(included))
        wrong = []
        for circle in circles(graph):
            lines = {f"{path} includes {included}" for here, there in zip(circle, circle[1:])
                     for path, included in INCLUDES
                     if (module_of(path), module_of(included)) == (here, there)}
            wrong += [" → ".join(circle), *(f"    {line}" for line in sorted(lines))]
        self.nothing(wrong, "Modules that include each other in a circle:")

    def test_names(self):
        """Two files of one base name would be one word for two things, and one object file's name."""
        named = {}
        for path in FILES:
            name = os.path.splitext(path)[0]
            if os.path.basename(path) not in ("main.c", "meson.build"):
                named.setdefault(os.path.basename(name), set()).add(name)
        self.nothing([", ".join(sorted(paths)) for _, paths in sorted(named.items()) if len(paths) > 1],
                     "Files of the same name:")

    def test_first_comment_of_sources(self):
        sources = [path for path in SOURCES if path.endswith(".c")]
        bare = {path for path in sources if not read(path).startswith(SPDX + "/* ")}
        self.nothing(sorted(bare),
                     "A source begins with the SPDX line, and a comment that says what it owns:")

    def test_first_comment_of_headers(self):
        wrong = {path for path in SOURCES if path.endswith(".h") and not re.match(
            re.escape(SPDX) + rf"#pragma once\n/\* {re.escape(os.path.basename(path)[:-2])}: ", read(path))}
        self.nothing(sorted(wrong),
                     'A header begins with the SPDX line, #pragma once, and "/* NAME: what it is":')

    def test_picture(self):
        """The floors in the documentation, with what each uses, are those of the includes. The purposes,
        and the order of folders that do not use each other, are the page's own."""
        block = re.search(r"^<!-- floors -->\n```text\n(.*?)^```$", read(PICTURE), re.M | re.S)
        self.assertTrue(block, f'{PICTURE}: no block "```text" after a line "<!-- floors -->"')
        expected, folders, right = uses(), [], []
        for line in block[1].splitlines():
            words = line.split() or [""]
            if words[0] in expected:
                folders.append(words[0])
            if words[0] == "uses:" and folders:
                line = line[:line.index("uses:")] + "uses: " + (", ".join(expected[folders[-1]]) or "nothing")
            right.append(line)
        self.assertEqual(sorted(folders), sorted(expected), f"{PICTURE}: each folder once")
        self.assertEqual(block[1].count("uses:"), len(folders), f'{PICTURE}: one "uses:" for each folder')
        if block[1].splitlines() != right:
            self.fail("\n".join([f"The picture in {PICTURE} should be", "", *right]))
        self.nothing([f"{lower} is above {folder}" for n, lower in enumerate(folders)
                      for folder in folders[n:] if lower in FLOORS.get(folder, [])],
                     f"{PICTURE}: the lowest floor comes last:")


if __name__ == "__main__":
    unittest.main()
