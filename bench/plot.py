#!/usr/bin/python3
"""Plots of a run as SVG: ratios with their spread, the 250's percentiles, CPU of a message by process.

    bench/plot.py bench/results/NAME        draws again what samples.json of that folder holds
"""
import json
import math
import sys

from svg import FAINT, GOAL, GRID, INK, POSTFIX, POSTHOUSE, POSTHOUSE_LIGHT, SERIES, Drawing, nice_step

PLACE_COLOURS = {"plain": POSTHOUSE, "ext4": POSTHOUSE_LIGHT}
LEFT, RIGHT, TOP = 390, 60, 110


def caption(results):
    return f"{results['date']}, revision {results['revision']}, {results['cores']} cores, {results['processor']}"


# --- ratios ---

def load_bars(results):
    """[(title, goal, [(place, ratio)])] of loads that have a figure."""
    rows = {}
    for place, found in results["places"].items():
        for name, load in found.get("rates", {}).items():
            if "summary" in load:
                rows.setdefault(name, (load["title"], load["goal"], []))[2].append((place, load["summary"]["ratio"]))
    return list(rows.values())


def ratio_plot(results):
    """Horizontal bars; the whisker is the least and the most of the pairs."""
    rows = load_bars(results)
    if not rows:
        return None
    bar, gap = 16, 18
    most = max(max(ratio["most"], goal or 0) for _, goal, ratios in rows for _, ratio in ratios) * 1.06
    height = TOP + sum(len(ratios) * (bar + 3) + gap for _, _, ratios in rows) + 50
    drawing = Drawing(960, height)
    scale = (drawing.width - LEFT - RIGHT) / most
    drawing.title("Throughput as a multiple of Postfix's", caption(results))
    drawing.key(LEFT, 84, [(PLACE_COLOURS[place], f"on {place}") for place in results["places"]] + [(GOAL, "goal"), (POSTFIX, "Postfix = 1")])
    step, value = nice_step(most, 8), 0
    while value <= most:
        drawing.line(LEFT + value * scale, TOP - 8, LEFT + value * scale, height - 44)
        drawing.text(LEFT + value * scale, height - 24, f"{value:g}", size=12, colour=FAINT, anchor="middle")
        value += step
    drawing.line(LEFT + scale, TOP - 8, LEFT + scale, height - 44, POSTFIX, 2)
    y = TOP
    for title, goal, ratios in rows:
        rows_height = len(ratios) * (bar + 3)
        drawing.text(LEFT - 12, y + rows_height / 2 + 3, title, size=12.5, anchor="end")
        if goal:
            drawing.line(LEFT + goal * scale, y - 3, LEFT + goal * scale, y + rows_height, GOAL, 2.5)
        for place, ratio in ratios:
            ratio_bar(drawing, y, bar, scale, ratio, PLACE_COLOURS[place])
            y += bar + 3
        y += gap
    return drawing


def ratio_bar(drawing, y, bar, scale, ratio, colour):
    drawing.rect(LEFT, y, ratio["median"] * scale, bar, colour)
    middle = y + bar / 2
    drawing.line(LEFT + ratio["least"] * scale, middle, LEFT + ratio["most"] * scale, middle, INK, 1.4)
    for end in ("least", "most"):
        drawing.line(LEFT + ratio[end] * scale, middle - 4, LEFT + ratio[end] * scale, middle + 4, INK, 1.4)
    drawing.text(LEFT + ratio["most"] * scale + 8, middle + 4.5, f"{ratio['median']:.1f}", size=12.5, weight="bold")


# --- latency ---

QUANTILES = ("0.5", "0.75", "0.9", "0.95", "0.98", "0.99", "0.995", "0.998", "0.999", "0.9995", "0.9999")
TICKS = ("0.5", "0.9", "0.99", "0.999", "0.9999")


class LogLog:
    """A field with logarithmic axes: across, the share of the messages that took longer, from a half to that beyond `last`; upwards,
    milliseconds."""

    def __init__(self, drawing, low, high, last):
        self.drawing, self.left, self.right, self.top, self.bottom = drawing, 80, drawing.width - 40, 120, 450
        self.decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        self.first, self.last = self.share("0.5"), self.share(last)

    @staticmethod
    def share(quantile):
        return -math.log10(1 - float(quantile))

    def x(self, quantile):
        return self.left + (self.share(quantile) - self.first) / (self.last - self.first) * (self.right - self.left)

    def y(self, value):
        return self.bottom - (math.log10(value) - self.decades[0]) / (len(self.decades) - 1) * (self.bottom - self.top)

    def grid(self):
        for decade in self.decades:
            for factor in range(1, 10 if decade < self.decades[-1] else 2):
                height = self.y(factor * 10.0 ** decade)
                self.drawing.line(self.left, height, self.right, height, GRID, 1.4 if factor == 1 else 0.5)
            self.drawing.text(self.left - 10, self.y(10.0 ** decade) + 4, f"{10.0 ** decade:g} ms", size=12, colour=FAINT, anchor="end")
        for quantile in (q for q in TICKS if self.share(q) <= self.last):
            self.drawing.line(self.x(quantile), self.top, self.x(quantile), self.bottom)
            self.drawing.text(self.x(quantile), self.bottom + 22, f"p{float(quantile) * 100:g}", size=12, colour=FAINT, anchor="middle")
        self.drawing.text((self.left + self.right) / 2, self.bottom + 46, "share of the messages that took no longer", size=12, colour=FAINT, anchor="middle")


def latency_plot(results, place):
    """Each case a curve: the time that a share of the messages stayed below."""
    found = results["places"][place].get("latencies", {}).get("250", {})
    if "cases" not in found:
        return None
    cases = [(case, {q: case["quantiles"][q] / 1000 for q in QUANTILES if enough(case, q)}) for case in found["cases"]]
    times = [value for _, values in cases for value in values.values()]
    if not times:
        return None
    drawing = Drawing(900, 520)
    drawing.title(f"Time from when a message is due to its 250, on {place}", caption(results))
    field = LogLog(drawing, min(times), max(times), max((q for _, values in cases for q in values), key=float))
    field.grid()
    for number, ((case, values), (colour, dash)) in enumerate(zip(cases, latency_colours(results["places"][place], cases))):
        points = [(field.x(q), field.y(value)) for q, value in values.items()]
        drawing.path(points, colour, dash=dash)
        for x, y in points:
            drawing.dot(x, y, colour)
        x = field.left + number * (field.right - field.left) / len(cases)
        drawing.path([(x, 82), (x + 26, 82)], colour, dash=dash)
        drawing.text(x + 34, 81, f"{case['title']} at {case['rate']}/s", size=12)
        drawing.text(x + 34, 97, case["what"], size=11, colour=FAINT)
    return drawing


def enough(case, quantile):
    """Five messages at least lie beyond it in every run."""
    return min(run["messages"] for run in case["runs"]) * (1 - float(quantile)) >= 4.99


def latency_colours(place, cases):
    first = place["contestants"][0]["name"]
    colours, seen = [], set()
    for case, _ in cases:
        colour = POSTFIX if case["contestant"] == first else POSTHOUSE
        colours.append((colour, "7 4" if colour in seen else None))
        seen.add(colour)
    return colours


# --- costs ---

PATH = ("smtpd", "cleanup", "qmgr", "trivial-rewrite", "discard", "smtp", "virtual", "master", "postlogd")


def cost_plot(results, place, key, title, unit):
    """A stacked bar for each contestant and load."""
    accounts = {name: load for name, load in results["places"][place].get("accounts", {}).items() if "error" not in load}
    if not accounts:
        return None
    contestants = results["places"][place]["contestants"]
    most = max(load[one["name"]]["total"][key] for load in accounts.values() for one in contestants) * 1.12
    left, top, bar = 210, 130, 24
    drawing = Drawing(960, top + len(accounts) * (2 * (bar + 5) + 22) + 50)
    scale = (drawing.width - left - 40) / most
    drawing.title(title, caption(results))
    names = [name for name in PATH if any(name in load[one["name"]]["processes"] for load in accounts.values() for one in contestants)] + ["others"]
    drawing.key(24, 90, [(SERIES[i], name) for i, name in enumerate(names)])
    step, value = nice_step(most, 8), 0
    while value <= most:
        drawing.line(left + value * scale, top - 12, left + value * scale, drawing.height - 44)
        drawing.text(left + value * scale, drawing.height - 24, f"{value:g}", size=12, colour=FAINT, anchor="middle")
        value += step
    y = top
    for name, load in accounts.items():
        drawing.text(24, y + bar + 7, name, weight="bold")
        for one in contestants:
            drawing.text(left - 10, y + bar * 0.7, one["title"], size=12, anchor="end", colour=FAINT)
            stack(drawing, left, y, bar, scale, load[one["name"]], names, key, unit)
            y += bar + 5
        y += 22
    return drawing


def stack(drawing, left, y, bar, scale, found, names, key, unit):
    x = left
    rows = found["processes"]
    for number, name in enumerate(names):
        value = rows.get(name, {key: 0})[key] if name != "others" else sum(row[key] for other, row in rows.items() if other not in names)
        if value > 0:
            drawing.rect(x, y, value * scale, bar, SERIES[number], 0)
            x += value * scale
    drawing.text(x + 8, y + bar * 0.7, f"{found['total'][key]:.0f}{unit}", size=12.5, weight="bold")


def plots(results):
    """{file name: drawing}"""
    made = {"ratios": ratio_plot(results)}
    for place in results["places"]:
        made[f"latency-{place}"] = latency_plot(results, place)
        made[f"cpu-{place}"] = cost_plot(results, place, "cpu_us", f"CPU time of a message by process, microseconds, on {place}", " us")
        made[f"calls-{place}"] = cost_plot(results, place, "calls", f"System calls of a message by process, on {place}", "")
    return {name: drawing for name, drawing in made.items() if drawing}


def write(results, folder):
    """Gives the names of the files."""
    drawings = plots(results)
    for name, drawing in drawings.items():
        drawing.write(f"{folder}/{name}.svg")
    return [f"{name}.svg" for name in drawings]


if __name__ == "__main__":
    with open(f"{sys.argv[1]}/samples.json", encoding="utf-8") as given:
        write(json.load(given), sys.argv[1])
