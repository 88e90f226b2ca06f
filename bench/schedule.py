#!/usr/bin/env python3
"""Draws how qmgr schedules a long list in virtual time: bench/schedule.py NUMBERS-PROGRAM SVG-FILE"""
import subprocess
import sys
from collections import defaultdict

from svg import FAINT, GOAL, POSTFIX, POSTHOUSE, Drawing, nice_step

LEFT, WIDTH, HEIGHT = 70, 760, 200


def read(program):
    series = defaultdict(list)
    for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines():
        name, at, value = line.split()
        series[name].append((int(at) / 1000, int(value)))
    return series


def panel(drawing, top, words, found, colours):
    """One curve for each name in `colours`, on a scale of its own."""
    most = max(value for name in colours for _, value in found[name])
    last = max(at for points in found.values() for at, _ in points)
    drawing.text(LEFT, top - 12, words, size=12, colour=FAINT)
    step = nice_step(most)
    for mark in range(0, int(most / step) + 1):
        y = top + HEIGHT - HEIGHT * mark * step / most
        drawing.line(LEFT, y, LEFT + WIDTH, y)
        drawing.text(LEFT - 8, y + 4, f"{mark * step:g}", size=11, colour=FAINT, anchor="end")
    for second in range(int(last) + 1):
        drawing.text(LEFT + WIDTH * second / last, top + HEIGHT + 16, f"{second} s", size=11, colour=FAINT, anchor="middle")
    for row, (name, (label, colour)) in enumerate(colours.items()):
        drawing.path([(LEFT + WIDTH * at / last, top + HEIGHT - HEIGHT * value / most) for at, value in found[name]], colour)
        drawing.text(LEFT + WIDTH - 8, top + 18 + 17 * row, label, size=12, colour=colour, anchor="end")


def main():
    program, target = sys.argv[1:]
    found = read(program)
    drawing = Drawing(860, 900)
    drawing.title("A list of 20,000 and a single message every 0.23 s", "virtual time; a delivery takes 0.1 s, 300 at a time; twenty domains, one is dead")
    panel(drawing, 110, "deliveries under way", found, {"under_way": ("all domains", POSTHOUSE)})
    panel(drawing, 380, "window of a domain", found, {"window": ("a living one", POSTHOUSE), "dead": ("the dead one", GOAL)})
    panel(drawing, 650, "milliseconds that a single message waits", found,
          {"overtaking": ("it overtakes (slot cost 5)", POSTHOUSE), "in_turn": ("in turn (slot cost 0)", POSTFIX)})
    drawing.write(target)


main()
