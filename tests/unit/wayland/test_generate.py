#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table generator on small protocols: which definition wins, what is left out, which rules it
refuses."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

GENERATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../common/wayland/generate.py")

CORE = """<protocol name="wayland"><interface name="wl_display" version="1">
  <request name="make"><arg name="id" type="new_id" interface="a_thing"/></request></interface>
  <interface name="a_thing" version="1"><event name="hello"/></interface></protocol>"""


def interface(name, version, body=""):
    return f'<interface name="{name}" version="{version}">{body}</interface>'


def request(name, *args):
    return f'<request name="{name}">{"".join(args)}</request>'


FD = '<arg name="fd" type="fd"/>'


class Generate(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.write("core.xml", CORE)
        self.write("rules", "")
        self.write("hooks.def", "WL_HOOK(SOME_HOOK)\n")

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def protocol(self, name, *interfaces):
        self.write(name + ".xml", f'<protocol name="{name}">{"".join(interfaces)}</protocol>')

    def run_it(self, rules=""):
        self.write("rules", rules)
        output = os.path.join(self.folder, "tables.c")
        result = subprocess.run(
            [sys.executable, GENERATE, "--summary", "--output", output, "--rules",
             os.path.join(self.folder, "rules"), "--hooks", os.path.join(self.folder, "hooks.def"),
             self.folder], capture_output=True, text=True, check=False)
        self.tables = ""
        if result.returncode == 0:
            with open(output, encoding="utf-8") as file:
                self.tables = file.read()
        return result

    def carried(self, name):
        definition = self.tables[self.tables.index(f"iface_{name} = {{"):]
        return ".carried = true" in definition[:definition.index("};")]

    def refused(self, rules, *words):
        result = self.run_it(rules)
        self.assertNotEqual(result.returncode, 0)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_highest_version_wins(self):
        self.protocol("a", interface("twice", 2, request("new_name")))
        self.protocol("b", interface("twice", 1, request("old_name")))
        self.assertEqual(self.run_it().returncode, 0)
        self.assertIn('"new_name"', self.tables)
        self.assertNotIn('"old_name"', self.tables)

    def test_subfolders_are_searched(self):
        self.write("deep/er/p.xml", f'<protocol name="p">{interface("deep_thing", 1)}</protocol>')
        self.run_it()
        self.assertIn("iface_deep_thing", self.tables)

    def test_other_xml_is_skipped(self):
        self.write("other.xml", "<html/>")
        self.assertEqual(self.run_it().returncode, 0)

    def test_broken_xml_is_named_and_skipped(self):
        self.write("broken.xml", "<protocol")
        result = self.run_it()
        self.assertEqual(result.returncode, 0)
        self.assertIn("broken.xml", result.stdout)

    def test_names_cannot_become_code(self):
        self.protocol("evil", interface("x; int y", 1))
        result = self.run_it()
        self.assertIn("evil.xml", result.stdout)
        self.assertNotIn("int y", self.tables)

    def test_what_refers_to_the_unknown_is_left_out_in_chains(self):
        self.protocol("a", interface("first", 1, request(
            "r", '<arg name="o" type="object" interface="nowhere"/>')))
        self.protocol("b", interface("second", 1, request(
            "r", '<arg name="o" type="object" interface="first"/>')))
        result = self.run_it()
        self.assertEqual(result.returncode, 0)
        self.assertIn("nowhere", result.stdout)
        self.assertNotIn("iface_first", self.tables)
        self.assertNotIn("iface_second", self.tables)

    def test_xdg_shell_v5_is_left_out(self):
        self.protocol("xdg_shell_unstable_v5", interface("xdg_shell", 1))
        self.run_it()
        self.assertNotIn("xdg_shell", self.tables)

    def test_descriptor_without_rule_hides_all_that_leads_to_it(self):
        make = '<arg name="id" type="new_id" interface="{}"/>'
        self.protocol("p", interface("root", 1, request("r", make.format("middle"))),
                      interface("middle", 1, request("r", make.format("leaf"))),
                      interface("leaf", 1, request("r", FD)),
                      interface("user", 1, request(
                          "r", '<arg name="o" type="object" interface="leaf"/>')))
        self.run_it()
        self.assertEqual([self.carried(n) for n in ("root", "middle", "leaf", "user")],
                         [False, False, False, True])
        self.run_it("leaf.r fd=stream\n")
        self.assertTrue(self.carried("root") and self.carried("leaf"))
        self.run_it("leaf.r fd=refused\n")
        self.assertFalse(self.carried("root") or self.carried("leaf"))

    def test_rules_of_absent_messages_are_skipped(self):
        result = self.run_it("nobody.knows fd=pool\na_thing.later hook=SOME_HOOK\n")
        self.assertEqual(result.returncode, 0)
        self.assertIn("a_thing.later", result.stdout)

    def test_bad_rules(self):
        self.protocol("p", interface("files", 1, request("r", FD)))
        self.refused("files.r fd=magic\n", "rules:1", "magic")
        self.refused("# one\nfiles.r hook=NO_SUCH\n", "rules:2", "NO_SUCH")
        self.refused("a_thing.hello fd=pool\n", "a_thing.hello", "no descriptor")
        self.refused("files.r fd=pool\nfiles.r fd=file\n", "rules:2", "second rule")
        self.refused("files.r\n", "rules:1")
        self.refused("files fd=pool\n", "rules:1")
        self.refused("files.r fd=pool colour=red\n", "colour=red")

    def texts(self, rules=""):
        """{message: (text, hook)}"""
        self.assertEqual(self.run_it(rules).returncode, 0)
        tables = re.sub(r"\s+", " ", self.tables)
        return {name: (re.search(r"\.text = WL_TEXT_(\w+)", rest), re.search(r"\.hook = WL_HOOK_(\w+)", rest))
                for name, rest in re.findall(r'\{\.name = "(\w+)"(.*?)\},', tables)}

    def test_a_string_of_a_request_that_no_rule_names_is_not_passed_on_as_it_is(self):
        word = '<arg name="word" type="string"/>'
        self.protocol("p", interface("words", 1, request("say", word) + request("know", word) + request("plain")
                                     + f'<event name="heard">{word}</event>'))
        found = {name: tuple(m and m[1] for m in pair)
                 for name, pair in self.texts("words.know text=passes\n").items()}
        self.assertEqual(found["say"], ("UNKNOWN", "TEXT"))
        self.assertEqual(found["know"], ("PASSES", None))
        self.assertEqual(found["plain"], (None, None))
        self.assertEqual(found["heard"], ("UNKNOWN", None))
        found = {name: tuple(m and m[1] for m in pair)
                 for name, pair in self.texts("words.say text=app-id\nwords.heard text=hidden\n").items()}
        self.assertEqual(found["say"], ("APP_ID", "TEXT"))
        self.assertEqual(found["heard"], ("HIDDEN", "TEXT"))

    def test_bad_rules_for_strings(self):
        word = '<arg name="word" type="string"/>'
        self.protocol("p", interface("words", 1, request("say", word) + request("file", word, FD) + request(
            "make", word, '<arg name="id" type="new_id" interface="a_thing"/>')
            + f'<event name="heard">{word}</event>'))
        self.refused("words.say text=loud\n", "rules:1", "loud")
        self.refused("words.say text=title hook=SOME_HOOK\n", "rules:1", "text=passes")
        self.refused("words.say hook=SOME_HOOK\n", "rules:1", "text=passes")
        self.refused("words.file fd=file\n", "rules:1", "text=passes")
        self.refused("words.make text=hidden\n", "rules:1", "makes or ends")
        self.refused("words.heard text=title\n", "rules:1", "requests")
        self.refused("words.say text=output\n", "rules:1", "events")
        self.refused("a_thing.hello text=title\n", "rules:1", "no string")

    def test_wayland_xml_is_needed(self):
        os.remove(os.path.join(self.folder, "core.xml"))
        self.refused("", "wayland.xml")


class Hooks(unittest.TestCase):
    """What the project's own rules and hooks say of each other."""

    def test_no_hook_is_dead(self):
        folder = os.path.dirname(GENERATE)
        with open(os.path.join(folder, "hooks.def"), encoding="utf-8") as file:
            hooks = re.findall(r"^WL_HOOK\((\w+)\)", file.read(), re.MULTILINE)
        with open(os.path.join(folder, "messages.rules"), encoding="utf-8") as file:
            used = set(re.findall(r"^[^#\n]*\bhook=(\w+)", file.read(), re.MULTILINE)) | {"TEXT"}
        self.assertEqual(sorted(hooks), sorted(used))


if __name__ == "__main__":
    unittest.main()
