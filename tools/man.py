#!/usr/bin/env python3
"""Makes manual pages: roff from man/man*/NAME.SECTION.md and from the parameters in params/*.md.

A page is a small part of Markdown, and what is not part of it is an error that names file and line:
    # name(8) - what it is       the first line
    ## SECTION    ### Part
    text                         paragraphs, parted by empty lines; **bold**, *italic*, `literal`, backslash escapes
    - item                       a list; further lines of an item are indented by two
    term                         a definition: the term alone on its line, the next line begins with ": ", further
    : text                       lines of it are indented by two
        literal                  four blanks: shown as it stands
With --program those honoured parameters of that program which its code names are put before SEE ALSO; with --all every
parameter is."""

import argparse
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import params  # noqa: E402

TITLE = re.compile(r"# ([\w.-]+)\((\d)\) - (.+)")
INLINE = re.compile(r"\\(.)|\*\*([^*]+)\*\*|\*([^*]+)\*|`([^`]+)`")


class Problem(Exception):
    pass


def escape(text):
    """Plain text for roff: no character of it is a request or an escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti")
    return "\\&" + text if text[:1] in (".", "'") else text


def inline(text, where):
    out, at = [], 0
    for match in INLINE.finditer(text):
        out.append(plain(text[at:match.start()], where))
        literal, bold, italic, code = match.groups()
        if literal is not None:
            out.append(escape(literal))
        else:
            out.append(("\\fI" if italic else "\\fB") + escape(bold or italic or code) + "\\fR")
        at = match.end()
    out.append(plain(text[at:], where))
    line = "".join(out)
    return "\\&" + line if line[:1] in (".", "'") else line


def plain(text, where):
    if re.search(r"[*`<|]", text):
        raise Problem(f"{where}: unpaired or unknown mark in: {text.strip()}")
    return escape(text)


class Page:
    def __init__(self, path):
        self.path, self.out, self.number = path, [], 0
        with open(path, encoding="utf-8") as file:
            self.lines = file.read().split("\n")
        title = TITLE.fullmatch(self.lines[0])
        if title is None:
            raise Problem(f"{path}:1: the first line must be '# name(section) - what it is'")
        self.name, self.section, self.about = title.groups()
        if os.path.basename(path) != f"{self.name}.{self.section}.md":
            raise Problem(f"{path}:1: the title does not fit the name of the file")

    @property
    def where(self):
        return f"{self.path}:{self.number}"

    def head(self):
        self.out += [f'.TH "{self.name.upper()}" "{self.section}" "" "Posthouse"', ".nh", ".ad l", ".SH NAME",
                     f"{escape(self.name)} \\- {inline(self.about, self.path)}"]

    def convert(self, before_see_also):
        """`before_see_also`: roff lines."""
        self.head()
        rows = self.lines[1:] + [""]
        index, put = 0, False
        while index < len(rows):
            line = rows[index]
            self.number = index + 2
            after = rows[index + 1] if index + 1 < len(rows) else ""
            if "\t" in line or line != line.rstrip():
                raise Problem(f"{self.where}: tab, or blanks at the end")
            if line == "## SEE ALSO" and not put:
                self.out += before_see_also
                put = True
            if line == "":
                pass
            elif line.startswith("## "):
                self.out.append(".SH " + escape(line[3:]))
            elif line.startswith("### "):
                self.out.append(".SS " + inline(line[4:], self.where))
            elif line.startswith("    "):
                index = self.literal(rows, index)
                continue
            elif line.startswith("- "):
                self.out += [".IP \\(bu 2", inline(line[2:], self.where)]
                index = self.rest(rows, index + 1)
                continue
            elif after.startswith(": "):
                self.number += 1
                self.out += [".TP", inline(line, self.where), inline(after[2:], self.where)]
                index = self.rest(rows, index + 2)
                continue
            elif re.match(r"[#>|:]|\s|\d+\. ", line):
                raise Problem(f"{self.where}: not in the part of Markdown that is known: {line}")
            else:
                self.out.append(".PP")
                while index < len(rows) and rows[index] != "":
                    self.number = index + 2
                    self.out.append(inline(rows[index], self.where))
                    index += 1
                continue
            index += 1
        if not put:
            self.out += before_see_also
        return "\n".join(self.out) + "\n"

    def literal(self, rows, index):
        self.out += [".PP", ".RS 4", ".nf"]
        while rows[index].startswith("    "):
            self.out.append(escape(rows[index][4:]))
            index += 1
        self.out += [".fi", ".RE"]
        return index

    def rest(self, rows, index):
        while rows[index].startswith("  ") and not rows[index].startswith("    "):
            self.number = index + 2
            self.out.append(inline(rows[index][2:], self.where))
            index += 1
        return index


def default_of(entry):
    """With places where a long value may be broken."""
    text = entry.keys["default"]
    return "empty" if text == "" else re.sub(r"([,}/:_])", r"\1\\:", escape(text))


def prose_of(entry, first_only):
    """The text of an entry: plain, with `literal` words. The entries are free text, so marks are shown as they are."""
    paragraphs = [" ".join(p.split()) for p in "\n".join(entry.prose).strip().split("\n\n")]
    if first_only:
        sentence = re.match(r"(.*?[.;:])(\s|$)", paragraphs[0])
        paragraphs = [(sentence.group(1) if sentence else paragraphs[0]).rstrip(";:").rstrip(".") + "."]
    lines = []
    for paragraph in paragraphs:
        shown = "".join(f"\\fB{escape(part)}\\fR" if odd % 2 else escape(part)
                        for odd, part in enumerate(paragraph.split("`"))) if paragraph.count("`") % 2 == 0 else escape(paragraph)
        lines += [".sp"] * bool(lines) + ["\\&" + shown]
    return lines


def rows_of(entries, first_only):
    out = []
    for entry in entries:
        out += [".TP", f"\\fB{escape(entry.name)}\\fR (default: {default_of(entry)})"] + prose_of(entry, first_only)
        if not first_only:
            out += notes_of(entry)
    return out


def notes_of(entry):
    status = {"no effect yet": "Accepted, has no effect yet.", "obsolete": "Obsolete: accepted, never has effect.",
              "old name": "An older name; it counts through the default of its successor.", "read only": "Cannot be set."}
    notes = [status[entry.keys["status"]]] if entry.keys["status"] in status else []
    if "seen" in entry.keys:
        notes.append("A change is seen " + entry.keys["seen"] + ".")
    return [".sp", escape(" ".join(notes))] if notes else []


def code_of(program, source):
    """What the program's own folder says: a parameter may be shared with programs that do not read it yet."""
    text = ""
    for path in sorted(glob.glob(os.path.join(source, program.replace("-", "_"), "*.c"))):
        with open(path, encoding="utf-8") as file:
            text += file.read()
    return text


def program_section(entries, program, source):
    code = code_of(program, source)
    own = [e for e in entries if e.keys["status"] == "honoured"
           and program in [p.strip() for p in e.keys["used by"].split(",")]
           and re.search(r"\b_?" + re.escape(e.name.split(">")[-1]) + r"\b", code)]
    if not own:
        return []
    return [".SH PARAMETERS", "Those of", "\\fBmain.cf\\fR that this program honours, besides those of every program; the whole text is in",
            "\\fBpostconf\\fR(5)."] + rows_of(own, True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="FILE", help="where the page is written")
    parser.add_argument("--program", metavar="NAME", help="with the parameters of this program")
    parser.add_argument("--source", metavar="SRC", help="where its code is looked through for them")
    parser.add_argument("--all", action="store_true", help="with all parameters")
    parser.add_argument("page", metavar="PAGE.md", help="the text")
    parser.add_argument("params", metavar="PARAMS.md", nargs="*", help="the parameters")
    arguments = parser.parse_args()
    try:
        entries = params.read_all(arguments.params)
        more = []
        if arguments.program:
            more = program_section(entries, arguments.program, arguments.source)
        elif arguments.all:
            more = [".SH PARAMETERS"] + rows_of(entries, False)
        text = Page(arguments.page).convert(more)
    except (Problem, params.Problem) as problem:
        sys.exit(f"man.py: {problem}")
    with open(arguments.out, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
