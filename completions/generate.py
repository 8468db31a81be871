#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a program's completion for a shell, from options.def: generate.py SHELL PROGRAM <options.def"""
import re
import sys


class Option:
    def __init__(self, name, argument, description):
        self.name, self.argument, self.description = name, argument, description
        self.words = argument.split("|") if argument and argument not in ("file", "folder", "user", "text") else []


def read(lines, program):
    """The options of that program, whether a command of anybody's may follow, and the commands of its own."""
    options, here, command, own = [], False, False, []
    for line in lines:
        section = re.fullmatch(r"\[(.+)\]\n?", line)
        if section:
            here = section[1] == program
        row = here and re.fullmatch(r"(--[a-z0-9-]*)(?: \[([^]]+)\])? +(.+?)\n?", line)
        verb = here and re.fullmatch(r"([a-z]+) +(.+?)\n?", line)
        if verb:
            own.append(verb.groups())
        elif row and row[1] == "--":
            command = True
        elif row:
            options.append(Option(*row.groups()))
    if not options:
        sys.exit(f"no options of {program}")
    return options, command, own


def bash(program, options, command, own):
    function = program.replace("-", "_")
    cases = []
    for o in options:
        if o.argument in ("file", "folder"):
            reply = f"compgen -{'d' if o.argument == 'folder' else 'f'} -- \"$word\""
        elif o.argument == "user":
            reply = 'compgen -u -- "$word"'
        elif o.words:
            reply = f"compgen -W '{' '.join(o.words)}' -- \"$word\""
        elif o.argument:
            reply = ":"
        else:
            continue
        cases.append(f"        {o.name}) mapfile -t COMPREPLY < <({reply}) && return ;;\n")
    names = " ".join([*(verb for verb, _ in own), *(o.name for o in options)])
    after = """    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == -- ]]; then
            declare -F _command_offset >/dev/null && _command_offset $((i + 1))
            return
        fi
    done
""" if command else ""
    # A colon begins a word of its own in bash: what is complete up to it is not to be repeated.
    return f"""# bash completion for {program}
_{function}() {{
    local word=$2 before=$3 i
    COMPREPLY=()
{after}    if declare -F _get_comp_words_by_ref >/dev/null; then
        local cur prev
        _get_comp_words_by_ref -n : cur prev
        word=$cur before=$prev
    fi
    case $before in
{''.join(cases)}        *) mapfile -t COMPREPLY < <(compgen -W '{names}{" --" if command else ""}' -- "$word") ;;
    esac
    declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$word"
    return 0
}}
complete -o filenames -F _{function} {program}
""".replace("    local word=$2 before=$3 i\n", "    local word=$2 before=$3" + (" i\n" if command else "\n"))


def zsh(program, options, command, own):
    rows = []
    for o in options:
        action = {"file": ":file:_files", "folder": ":folder:_files -/", "user": ":user:_users", "text": ":value: ",
                  None: ""}.get(o.argument)
        if o.words:
            action = f":value:({' '.join(w.replace(':', chr(92) + ':') for w in o.words)})"
        description = o.description.replace(":", "\\:").replace("'", "'\\''")
        rows.append(f"    '*{o.name}[{description}]{action}'")
    if own:
        verbs = " ".join(f'{verb}\\:"{description}"' for verb, description in own).replace("'", "'\\''")
        rows.append(f"    '1:command:(({verbs}))'")
    if command:
        rows.append("    '*::command: _normal'")
    return f"#compdef {program}\n_arguments -s -S \\\n" + " \\\n".join(rows) + "\n"


def fish(program, options, command, own):
    lines = [f"# fish completion for {program}", f"complete -c {program} -f"]
    for o in options:
        description = o.description.replace("'", "\\'")
        wants = ""
        if o.argument in ("file", "folder"):
            wants = " -r -F"
        elif o.argument == "user":
            wants = " -x -a '(__fish_complete_users)'"
        elif o.words:
            wants = f" -x -a '{' '.join(o.words)}'"
        elif o.argument:
            wants = " -x"
        lines.append(f"complete -c {program} -l {o.name[2:]}{wants} -d '{description}'")
    for verb, description in own:
        description = description.replace("'", "\\'")
        lines.append(f"complete -c {program} -n __fish_use_subcommand -a {verb} -d '{description}'")
    if command:
        lines.append(f"complete -c {program} -n 'contains -- -- (commandline -opc)' "
                     "-a '(__fish_complete_subcommand --fcs-skip=(contains -i -- -- (commandline -opc)))'")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    shell, program = sys.argv[1:]
    sys.stdout.write({"bash": bash, "zsh": zsh, "fish": fish}[shell](program, *read(sys.stdin, program)))
