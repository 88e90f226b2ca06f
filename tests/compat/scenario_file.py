"""Reads a scenario: one text file (scenario/README.md says what may stand in it)."""
import glob
import os
import re

from dialogues import decode

HERE = os.path.dirname(os.path.abspath(__file__))
DIRECTORY = os.path.join(HERE, "scenario")
ASPECTS = ("replies", "files", "queue", "servers", "log")
SETUP = ("main", "master", "file", "postmap", "postalias", "users", "dns", "server")
ACTIONS = ("smtp", "mail", "sendmail", "run", "wait")
VERDICTS = ("compare", "differs", "ignore")


class Section:
    """`[word arguments]` and the lines up to the next one, empty ones at the end left out."""

    def __init__(self, number, word, arguments):
        self.number, self.word, self.arguments, self.lines = number, word, arguments, []

    @property
    def text(self):
        lines = self.lines[:]
        while lines and not lines[-1]:
            lines.pop()
        return "".join(line + "\n" for line in lines)

    @property
    def rows(self):
        """Lines with content; one that begins with a blank goes on from the one before."""
        rows = []
        for line in self.lines:
            if line[:1] in (" ", "\t") and rows:
                rows[-1] += " " + line.strip()
            elif line.strip() and not line.startswith("#"):
                rows.append(line.rstrip())
        return rows

    @property
    def data(self):
        return decode(self.text)


class Scenario:
    def __init__(self, path):
        self.name = os.path.relpath(path, DIRECTORY)[:-len(".txt")]
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
        self.title, self.check, self.sections = lines[0].strip(), "check" in lines[1].split(), []
        for number, line in enumerate(lines[1:], 2):
            header = re.fullmatch(r"\[(\w+)(?: (.*))?\]", line)
            if header and header[1] in SETUP + ACTIONS + VERDICTS:
                self.sections.append(Section(number, header[1], header[2] or ""))
            elif self.sections:
                self.sections[-1].lines.append(line)
            elif line.strip() not in ("", "check"):
                raise ValueError(f"{self.name}.txt: line {number}: {line!r} stands before the first section")
        self.read_verdicts()
        if not self.title or not self.of(*ACTIONS):
            raise ValueError(f"{self.name}.txt: needs a title and something to do")

    def of(self, *words):
        return [section for section in self.sections if section.word in words]

    def rows(self, word):
        return [row for section in self.of(word) for row in section.rows]

    def read_verdicts(self):
        self.aspects, self.differs, self.ignored = ASPECTS, {}, []
        for section in self.of(*VERDICTS):
            words = section.arguments.split()
            if section.word == "compare":
                self.aspects = tuple(words)
            elif not words[1:]:
                raise ValueError(f"{self.name}.txt: line {section.number}: say why")
            elif section.word == "ignore":
                self.ignored += [(words[0], line) for line in section.lines if line]
            else:
                self.differs.setdefault(words[0], []).extend(line.rstrip() for line in section.lines if line.strip())
            if not set(words[:1]) <= set(ASPECTS):
                raise ValueError(f"{self.name}.txt: line {section.number}: {words[0]} is none of {ASPECTS}")


def scenarios(words=()):
    """All whose name contains one of the words; all without words."""
    paths = sorted(glob.glob(f"{DIRECTORY}/*/*.txt"))
    return [scenario for scenario in map(Scenario, paths) if not words or any(word in scenario.name for word in words)]
