#!/usr/bin/env python3
"""Makes the C tables of all main.cf parameters from their entries in params/*.md.

params/README.md describes an entry. Into DIR go param_all.c (every name, sorted), and
for each program P a header P_params.h with `struct P_params` and a file P_params.c with
the table that conf_fill reads; "every program" is called `common`. In defaults, @name@
stands for a value given by -D (a directory chosen at build time).
"""

import argparse
import glob
import os
import re
import sys

TYPES = {"string": "PARAM_STRING", "raw": "PARAM_RAW", "int": "PARAM_INT",
         "long": "PARAM_LONG", "time": "PARAM_TIME", "bool": "PARAM_BOOL"}
STATUSES = {"honoured": "PARAM_HONOURED", "no effect yet": "PARAM_NO_EFFECT",
            "obsolete": "PARAM_OBSOLETE", "read only": "PARAM_READ_ONLY",
            "old name": "PARAM_OLD_NAME"}
C_TYPES = {"string": "const char *", "raw": "const char *", "int": "int64_t ",
           "long": "int64_t ", "time": "int64_t ", "bool": "bool "}
KEYS = {"type", "default", "unit", "min", "max", "used by", "in place of", "status", "test",
        "since", "seen"}
NEEDED = {"type", "default", "used by", "status"}
COMMON = "common"
NOTE = "/* Made by tools/params.py from params/: do not edit. */\n"
# No program reads these by themselves.
NO_FIELD = {"read only", "obsolete", "old name"}
# No lower limit: Postfix lets a number without a minimum be negative.
NO_MIN = "INT64_MIN"


class Problem(Exception):
    pass


class Entry:
    def __init__(self, name, where):
        self.name = name
        self.where = where
        self.keys = {}
        self.prose = []

    @property
    def is_template(self):
        """<transport>_...: a family of names, looked up by conf_get_*, in no struct."""
        return self.name.startswith("<")

    @property
    def programs(self):
        names = [p.strip() for p in self.keys["used by"].split(",")]
        return [COMMON if p == "every program" else p.replace("-", "_") for p in names]

    @property
    def field(self):
        return "_" + self.name if self.name[0].isdigit() else self.name

    def check(self):
        missing = NEEDED - self.keys.keys()
        if missing:
            raise Problem(f"{self.where}: {self.name}: no '{sorted(missing)[0]}' line")
        for key, known in (("type", TYPES), ("status", STATUSES)):
            if self.keys[key] not in known:
                raise Problem(f"{self.where}: {self.name}: unknown {key} '{self.keys[key]}'")
        if self.keys["status"] == "honoured" and "test" not in self.keys:
            raise Problem(f"{self.where}: {self.name}: honoured without a test")
        if self.keys["status"] == "no effect yet" and "test" in self.keys:
            raise Problem(f"{self.where}: {self.name}: has a test, but no effect yet")
        if self.keys["status"] == "old name" and self.keys["default"] != "":
            raise Problem(f"{self.where}: {self.name}: an old name counts only when it is set: it has no default")
        if (self.keys["type"] == "time") != ("unit" in self.keys):
            raise Problem(f"{self.where}: {self.name}: 'unit' goes with type time, and only there")
        if not "".join(self.prose).strip():
            raise Problem(f"{self.where}: {self.name}: no text")
        form = r"<[a-z]+>_[a-z0-9_]+" if self.is_template else r"[a-z0-9_A-Z]+"
        if not re.fullmatch(form, self.name):
            raise Problem(f"{self.where}: bad name '{self.name}'")


def read_file(path):
    entries = []
    entry = None
    in_keys = False
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if line.startswith("### "):
                entry = Entry(line[4:].strip(), f"{path}:{number}")
                entries.append(entry)
                in_keys = True
            elif entry is None:
                continue
            elif in_keys and line:
                key, colon, value = line.partition(":")
                if not colon or key not in KEYS or key in entry.keys:
                    raise Problem(f"{path}:{number}: bad line in {entry.name}: {line}")
                entry.keys[key] = value.strip()
            elif in_keys:
                in_keys = False
            else:
                entry.prose.append(line)
    return entries


def read_all(paths):
    entries = {}
    for path in paths:
        for entry in read_file(path):
            entry.check()
            if entry.name in entries:
                raise Problem(f"{entry.where}: {entry.name}: also at {entries[entry.name].where}")
            entries[entry.name] = entry
    for entry in entries.values():
        other = entry.keys.get("in place of")
        if other is not None and other not in entries:
            raise Problem(f"{entry.where}: {entry.name}: in place of an unknown name")
    return [entries[name] for name in sorted(entries, key=lambda n: n.encode())]


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?") + '"'


def row(entry, values, offset, name=None):
    keys = entry.keys

    def default_value(match):
        if match.group(1) not in values:
            raise Problem(f"{entry.where}: {entry.name}: no value for {match.group(0)}")
        return values[match.group(1)]

    default = keys["default"]
    initial = "NULL" if default == "(computed)" else c_string(
        re.sub(r"@([a-z_]+)@", default_value, default))
    is_text = keys["type"] in ("string", "raw")
    return "\t{ %s, %s, %s, %s, %s, %s, %s, %s },\n" % (
        c_string(name or entry.name), TYPES[keys["type"]], STATUSES[keys["status"]], initial,
        keys.get("min", "0" if is_text or keys["type"] == "bool" else NO_MIN),
        keys.get("max", "0"),
        f"'{keys['unit']}'" if "unit" in keys else "0", offset)


def table(name, rows):
    return (f"const struct param {name}[] = {{\n" + "".join(rows)
            + "\t{ NULL, PARAM_STRING, PARAM_HONOURED, NULL, 0, 0, 0, 0 },\n};\n")


def struct_of(entries, program):
    """The rows that fill a program's struct.

    A program whose entries stand `in place of` another program's shares that one's struct:
    lmtp fills struct smtp_params, each field from its lmtp_ name where there is one.
    """
    by_name = {e.name: e for e in entries}
    owner = program
    for entry in entries:
        if program in entry.programs and "in place of" in entry.keys:
            owner = by_name[entry.keys["in place of"]].programs[0]
    family = {owner, program} | {p for e in entries if "in place of" in e.keys
                                 and owner in by_name[e.keys["in place of"]].programs
                                 for p in e.programs}
    replaced = {e.keys["in place of"]: e for e in entries
                if program in e.programs and "in place of" in e.keys}
    fields = [e for e in entries if family & set(e.programs) and "in place of" not in e.keys
              and not e.is_template and e.keys["status"] not in NO_FIELD]
    fields.sort(key=lambda e: e.keys["type"] == "bool")  # no padding between the fields
    return owner, fields, replaced


def write_program(out, entries, program, values):
    owner, fields, replaced = struct_of(entries, program)
    guard = f"{program.upper()}_PARAMS_H"
    text = NOTE + f"#ifndef {guard}\n#define {guard}\n\n"
    if owner != program:
        text += f'#include "{owner}_params.h"\n\n/* Fills struct {owner}_params. */\n'
    else:
        text += '#include "conf/conf.h"\n\n' + f"struct {program}_params {{\n"
        text += "".join(f"\t{C_TYPES[e.keys['type']]}{e.field};\n" for e in fields)
        text += "};\n\n"
    text += f"extern const struct param {program}_param_table[];\n\n#endif\n"
    write(out, f"{program}_params.h", text)

    rows = [row(replaced.get(e.name, e), values,
                f"offsetof(struct {owner}_params, {e.field})") for e in fields]
    write(out, f"{program}_params.c", NOTE + f'#include "{program}_params.h"\n\n'
          + "#include <stddef.h>\n\n" + table(f"{program}_param_table", rows))


def write_all(out, entries, values):
    names = [e for e in entries if not e.is_template]
    families = [e for e in entries if e.is_template]
    rows = [row(e, values, "0") for e in names]
    family_rows = [row(e, values, "0", e.name.split(">")[1]) for e in families]
    write(out, "param_all.c", NOTE + '#include "conf/conf.h"\n\n' + table("param_all", rows)
          + f"const size_t param_all_count = {len(names)};\n\n"
          + table("param_families", family_rows)
          + f"const size_t param_families_count = {len(families)};\n")


def write(out, name, text):
    with open(os.path.join(out, name), "w", encoding="utf-8") as file:
        file.write(text)


def tests_of(root):
    """For each test under tests/system and src: the text of the files that define it."""
    tests = {}
    for pattern, form in (("tests/system/test_*.py", r"^def (test_\w+)\("),
                          ("src/**/*_test.py", r"^ *def (test_\w+)\("),
                          ("src/**/*_test.c", r"^TEST\((\w+)\)")):
        for path in glob.glob(os.path.join(root, pattern), recursive=True):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for name in re.findall(form, text, re.M):
                tests[name] = tests.get(name, "") + text
    return tests


def check_tests(entries, root):
    """A named test must exist, in a file that speaks of the parameter."""
    tests = tests_of(root)
    problems = []
    for entry in entries:
        name = entry.keys.get("test")
        if name is not None and name not in tests:
            problems.append(f"{entry.where}: {entry.name}: there is no test '{name}'")
        elif name is not None and entry.name.split(">")[-1] not in tests[name]:
            problems.append(f"{entry.where}: {entry.name}: '{name}' says nothing of it")
    if problems:
        raise Problem("\n".join(problems))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", metavar="DIR", help="where the tables are written")
    parser.add_argument("--programs", action="store_true", help="names of the programs, one a line")
    parser.add_argument("--check-tests", metavar="ROOT", dest="root", help="that the test of each honoured parameter exists in this tree")
    parser.add_argument("-D", action="append", default=[], dest="values", metavar="name=value", help="for @name@ in defaults")
    parser.add_argument("files", metavar="FILE.md", nargs="+", help="the parameters")
    arguments = parser.parse_args()
    try:
        entries = read_all(arguments.files)
        programs = sorted({p for e in entries for p in e.programs} | {COMMON})
        if arguments.programs:
            print("\n".join(programs))
        if arguments.root:
            check_tests(entries, arguments.root)
        if arguments.out:
            values = dict(v.split("=", 1) for v in arguments.values)
            write_all(arguments.out, entries, values)
            for program in programs:
                write_program(arguments.out, entries, program, values)
    except Problem as problem:
        sys.exit(f"params.py: {problem}")


if __name__ == "__main__":
    main()
