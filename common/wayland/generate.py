#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the Wayland interface tables (common/wayland/wl-tables.h) from protocol XML.

Reads every *.xml below the given folders. Several files may define one interface (a protocol that
moved from unstable to stable, or an older copy of it): the definition with the highest version is
taken. What is special about a message comes from messages.rules.
"""
import argparse
import os
import re
import sys
import textwrap
import xml.etree.ElementTree as ElementTree

# Its interfaces have the names of the stable xdg-shell's, with other messages.
LEFT_OUT = {"xdg_shell_unstable_v5"}

FD_RULES = ("refused", "pool", "file", "stream", "dmabuf")
REQUEST_TEXTS = ("title", "app-id", "label")
EVENT_TEXTS = ("output",)
TEXT_RULES = ("passes", "hidden") + REQUEST_TEXTS + EVENT_TEXTS
LETTERS = {"int": "i", "uint": "u", "fixed": "f", "string": "s", "object": "o", "new_id": "n",
           "array": "a", "fd": "h"}
# Fewest bytes of an argument: a string that may not be null has a length and its NUL, padded.
MIN_BYTES = {"i": 4, "u": 4, "f": 4, "s": 8, "S": 4, "o": 4, "O": 4, "n": 4, "N": 16, "a": 4,
             "h": 0}
HEADER_SIZE = 8
ARGS_MAX = 20
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Unusable(Exception):
    """This XML file cannot be used; the others can."""


def die(text):
    sys.exit(f"generate.py: {text}")


class Message:
    def __init__(self, element, interface):
        self.name = identifier(element)
        self.event = element.tag == "event"
        self.since = number(element, "since", 1, 255)
        self.destructor = element.get("type") == "destructor"
        self.signature = ""
        self.types = []  # one interface name or None per letter
        for arg in element.findall("arg"):
            letter = LETTERS.get(arg.get("type"))
            if letter is None:
                raise Unusable(f"{interface}.{self.name} has an argument of type {arg.get('type')}")
            target = arg.get("interface") if letter in "on" else None
            if letter == "n" and target is None:
                letter = "N"
            elif letter in "so" and arg.get("allow-null") == "true":
                letter = letter.upper()
            self.signature += letter
            self.types.append(target)
        if len(self.signature) > ARGS_MAX:
            raise Unusable(f"{interface}.{self.name} has more than {ARGS_MAX} arguments")
        self.fd_rule = "refused" if "h" in self.signature else "none"
        self.text = "unknown" if self.has_text() else "none"
        self.hook = "NONE"

    def has_text(self):
        return "s" in self.signature.lower()

    def min_size(self):
        return HEADER_SIZE + sum(MIN_BYTES[letter] for letter in self.signature)


class Interface:
    def __init__(self, element):
        self.name = identifier(element)
        self.version = number(element, "version", 1, 0xffffffff)
        self.requests = [Message(e, self.name) for e in element.findall("request")]
        self.events = [Message(e, self.name) for e in element.findall("event")]
        self.obstacle = None  # why it is not carried

    def messages(self):
        return self.requests + self.events

    def references(self):
        return {t for m in self.messages() for t in m.types if t}

    def creates(self):
        return [t for m in self.messages() for t, letter in zip(m.types, m.signature)
                if letter == "n"]

    def completeness(self):
        """Orders definitions of one interface; later releases mark more destructors."""
        return (self.version, len(self.messages()), sum(m.destructor for m in self.messages()))


def identifier(element):
    name = element.get("name", "")
    if not IDENTIFIER.match(name):
        raise Unusable(f"“{name}” is no name for a {element.tag}")
    return name


def number(element, attribute, default, limit):
    text = element.get(attribute, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= limit:
        raise Unusable(f"{element.get('name')} has {attribute} “{text}”")
    return int(text)


def xml_files(folders):
    found = set()
    for folder in folders:
        if not os.path.isdir(folder):
            die(f"{folder} is not a folder")
        for path, dirs, files in os.walk(folder):
            dirs.sort()
            found.update(os.path.join(path, f) for f in files if f.endswith(".xml"))
    return sorted(found)


def read_protocols(paths, notes):
    """{path: [Interface]} of the Wayland protocols that refer only to what some file defines."""
    protocols = {}
    for path in paths:
        try:
            root = ElementTree.parse(path).getroot()
            if root.tag != "protocol" or root.get("name") in LEFT_OUT:
                continue
            protocols[path] = [Interface(e) for e in root.findall("interface")]
        except (ElementTree.ParseError, Unusable) as error:
            notes.append(f"left out {path}: {error}")
    while True:
        known = {i.name for interfaces in protocols.values() for i in interfaces}
        unusable = {}
        for path, interfaces in protocols.items():
            missing = set().union(*(i.references() for i in interfaces)) - known
            if missing:
                unusable[path] = missing
        if not unusable:
            return protocols
        for path, missing in unusable.items():
            notes.append(f"left out {path}: nothing defines {', '.join(sorted(missing))}")
            del protocols[path]


def pick(protocols):
    """{name: Interface}, sorted by name, each in its most complete definition."""
    best = {}
    for interfaces in protocols.values():
        for interface in interfaces:
            rival = best.get(interface.name)
            if rival is None or interface.completeness() > rival.completeness():
                best[interface.name] = interface
    return dict(sorted(best.items()))


def read_hooks(path):
    with open(path, encoding="utf-8") as file:
        return set(re.findall(r"^WL_HOOK\((\w+)\)", file.read(), re.MULTILINE))


def read_named(path):
    """[(name, interface, message)]"""
    with open(path, encoding="utf-8") as file:
        return re.findall(r"^WL_NAMED\((\w+), (\w+), (\w+)\)", file.read(), re.MULTILINE)


def apply_rules(path, hooks, interfaces):
    """Merges messages.rules; returns the rules of known interfaces that lack the message."""
    unused = []
    seen = set()
    messages = {f"{i.name}.{m.name}": m for i in interfaces.values() for m in i.messages()}
    with open(path, encoding="utf-8") as file:
        lines = file.readlines()
    for line_number, line in enumerate(lines, 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        where, name = f"{path}:{line_number}: ", words[0]
        if name in seen:
            die(f"{where}a second rule for {name}")
        seen.add(name)
        if not re.match(r"\w+\.\w+\Z", name) or len(words) < 2:
            die(f"{where}expected: interface.message [fd=KIND] [text=KIND] [hook=NAME]")
        rule = {}
        for word in words[1:]:
            key, _, value = word.partition("=")
            if key not in ("fd", "text", "hook") or key in rule:
                die(f"{where}“{word}” is none of fd=KIND, text=KIND and hook=NAME, or given twice")
            rule[key] = value
        if rule.get("fd", "refused") not in FD_RULES:
            die(f"{where}fd={rule['fd']} is none of {', '.join(FD_RULES)}")
        if rule.get("text", "hidden") not in TEXT_RULES:
            die(f"{where}text={rule['text']} is none of {', '.join(TEXT_RULES)}")
        if "hook" in rule and rule["hook"] not in hooks:
            die(f"{where}there is no hook {rule['hook']} in hooks.def")
        message = messages.get(name)
        if message is None:
            if name.split(".")[0] in interfaces:
                unused.append(name)
            continue
        if "fd" in rule:
            if "h" not in message.signature:
                die(f"{where}{name} has no descriptor")
            message.fd_rule = rule["fd"]
        if "text" in rule:
            if not message.has_text():
                die(f"{where}{name} has no string")
            if rule["text"] in (REQUEST_TEXTS if message.event else EVENT_TEXTS):
                die(f"{where}text={rule['text']} is for {'requests' if message.event else 'events'}")
            if rule["text"] == "hidden" and ("n" in message.signature or message.destructor):
                die(f"{where}{name} makes or ends an object, so it cannot be hidden")
            message.text = rule["text"]
        message.hook = rule.get("hook", "NONE")
        if message.text not in ("none", "passes") and not message.event:
            # What changes a string sends another message, so nothing else may come with this one.
            if "hook" in rule or "h" in message.signature:
                die(f"{where}{name} has a hook or a descriptor beside its string: say text=passes")
    return unused


def hook_texts(interfaces):
    """Whoever reads a string in a request that no rule speaks of may be a person."""
    for interface in interfaces.values():
        for message in interface.messages():
            passes = ("none", "passes", "unknown") if message.event else ("none", "passes")
            if message.text not in passes and "h" not in message.signature:
                message.hook = "TEXT"


def find_obstacles(interfaces):
    """Sets obstacle on what cannot be carried: an interface with a descriptor that nobody carries,
    and every interface that leads to an object of such a one."""
    for interface in interfaces.values():
        for message in interface.messages():
            if message.fd_rule in ("refused", "dmabuf"):
                interface.obstacle = f"{interface.name}.{message.name}"
                break
    changed = True
    while changed:
        changed = False
        for interface in interfaces.values():
            for created in interface.creates():
                if interface.obstacle is None and interfaces[created].obstacle:
                    interface.obstacle = interfaces[created].obstacle
                    changed = True


def wrapped(words, first, rest):
    """The words with commas between them, in lines that break between words only."""
    text = textwrap.fill(", ".join(w.replace(" ", "\0") for w in words), 100, initial_indent=first,
                         subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)
    return text.replace("\0", " ")


def c_types(message):
    if not any(message.types):
        return "no_types"
    pointers = (f"&iface_{t}" if t else "NULL" for t in message.types)
    return f"(const struct wl_iface *const[]){{{', '.join(pointers)}}}"


def c_message(message):
    fields = [f'.name = "{message.name}"', f'.signature = "{message.signature}"',
              f".types = {c_types(message)}", f".since = {message.since}",
              f".n_args = {len(message.signature)}"]
    if "h" in message.signature:
        fields.append(f".n_fds = {message.signature.count('h')}")
    if any(letter in "sSaN" for letter in message.signature):
        fields.append(".variable = true")
    if any(letter in "nN" for letter in message.signature):
        fields.append(".creates = true")
    if message.destructor:
        fields.append(".destructor = true")
    if message.fd_rule != "none":
        fields.append(f".fd_rule = WL_FD_{message.fd_rule.upper()}")
    if message.text != "none":
        fields.append(f".text = WL_TEXT_{message.text.upper().replace('-', '_')}")
    if message.hook != "NONE":
        fields.append(f".hook = WL_HOOK_{message.hook}")
    fields.append(f".min_size = {message.min_size()}")
    return wrapped([f"{{{fields[0]}"] + fields[1:-1] + [f"{fields[-1]}}},"], "    ", "     ") + "\n"


def c_named(interfaces, named):
    """The messages that are known by name; those that the XML lacks stay empty."""
    text = ["\nconst struct wl_named_message wl_named[_WL_NAMED_N] = {\n"]
    for name, interface, message in named:
        for kind in ("requests", "events"):
            messages = getattr(interfaces.get(interface), kind, [])
            text += [f"    [MSG_{name}] = {{&{kind}_{interface}[{opcode}], {opcode}}},\n"
                     for opcode, m in enumerate(messages) if m.name == message]
    return "".join(text) + "};\n"


def c_tables(interfaces, named):
    text = ["/* Made by common/wayland/generate.py from protocol XML. */\n",
            '#include "common/wayland/wl-tables.h"\n\n',
            "static const struct wl_iface *const no_types[WL_ARGS_MAX];\n\n"]
    text += [f"static const struct wl_iface iface_{name};\n" for name in interfaces]
    for name, interface in interfaces.items():
        text.append(f"\n/* {name} */\n")
        for kind in ("requests", "events"):
            messages = getattr(interface, kind)
            if messages:
                text.append(f"static const struct wl_msg_info {kind}_{name}[] = {{\n")
                text += [c_message(m) for m in messages]
                text.append("};\n")
        text.append(f"static const struct wl_iface iface_{name} = {{\n"
                    f'    .name = "{name}",\n    .version = {interface.version},\n')
        for kind in ("requests", "events"):
            if getattr(interface, kind):
                text.append(f"    .n_{kind} = {len(getattr(interface, kind))},\n"
                            f"    .{kind} = {kind}_{name},\n")
        text.append(f"    .carried = {'false' if interface.obstacle else 'true'},\n}};\n")
    text.append("\nconst struct wl_iface *const wl_ifaces[] = {\n")
    text += [f"    &iface_{name},\n" for name in interfaces]
    text.append("};\nconst size_t wl_ifaces_n = sizeof(wl_ifaces) / sizeof(wl_ifaces[0]);\n")
    text.append(c_named(interfaces, named))
    return "".join(text)


def summary(interfaces, unused, notes):
    carried = [f"{i.name} {i.version}" for i in interfaces.values() if not i.obstacle]
    hidden = [f"{i.name} (because of {i.obstacle})" for i in interfaces.values() if i.obstacle]

    text = [f"Wayland interfaces: {len(interfaces)}, {len(carried)} of them carried, with version:",
            wrapped(carried, "  ", "  ")]
    if hidden:
        text += [f"Not carried: {len(hidden)}:", wrapped(hidden, "  ", "  ")]
    if unused:
        text += ["Rules whose message is newer than this XML:", wrapped(unused, "  ", "  ")]
    return "\n".join(text + notes)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rules", default=os.path.join(here, "messages.rules"))
    parser.add_argument("--hooks", default=os.path.join(here, "hooks.def"))
    parser.add_argument("--named", default=os.path.join(here, "named.def"))
    parser.add_argument("--output", help="write the tables to this C file")
    parser.add_argument("--depfile", help="write what the tables depend on, as a make rule")
    parser.add_argument("--summary", action="store_true", help="print what the tables know")
    parser.add_argument("--knows", metavar="INTERFACE", help="exit with 3 if there is no such interface")
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    options = parser.parse_args()

    notes = []
    paths = xml_files(options.folders)
    interfaces = pick(read_protocols(paths, notes))
    if "wl_display" not in interfaces:
        die(f"no wayland.xml below {', '.join(options.folders)}")
    if options.knows and options.knows not in interfaces:
        sys.exit(3)
    named = read_named(options.named)
    unused = apply_rules(options.rules, read_hooks(options.hooks), interfaces)
    hook_texts(interfaces)
    find_obstacles(interfaces)

    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(c_tables(interfaces, named))
    if options.depfile:
        inputs = [p.replace(" ", "\\ ") for p in [options.rules, options.hooks, options.named] + paths]
        with open(options.depfile, "w", encoding="utf-8") as file:
            file.write(f"{options.output}: {' '.join(inputs)}\n")
    if options.summary:
        print(summary(interfaces, unused, notes))


if __name__ == "__main__":
    main()
