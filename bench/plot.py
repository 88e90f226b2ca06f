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
    drawing.title("Messages a second, as a multiple of Postfix's", caption(results))
    drawing.key(LEFT, 84, [(PLACE_COLOURS[place], f"on {place}") for place in results["places"]] + [(GOAL, "goal"), (POSTFIX, "Postfix = 1")])
    step, value = nice_step(most, 8), 0
    while value <= most:
        drawing.line(LEFT + value * scale, TOP - 8, LEFT + value * scale, height - 44)
        drawing.text(LEFT + value * scale, height - 24, f"{value:g}", size=12, colour=FAINT, anchor="middle")
        value += step
    y = TOP
    for title, goal, ratios in rows:
        rows_height = len(ratios) * (bar + 3)
        drawing.text(LEFT - 12, y + rows_height / 2 + 3, title, size=12.5, anchor="end")
        for place, ratio in ratios:
            ratio_bar(drawing, y, bar, scale, ratio, PLACE_COLOURS[place])
            y += bar + 3
        if goal:
            drawing.line(LEFT + goal * scale, y - rows_height - 3, LEFT + goal * scale, y, GOAL, 2.5)
        y += gap
    drawing.line(LEFT + scale, TOP - 8, LEFT + scale, height - 44, POSTFIX, 2)
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


def latency_plot(results, place):
    """Each case a curve: the time that a share of the messages stayed below. Both axes are logarithmic."""
    found = results["places"][place].get("latencies", {}).get("250", {})
    if "cases" not in found:
        return None
    cases = [(case, {q: case["quantiles"][q] / 1000 for q in QUANTILES if enough(case, q)}) for case in found["cases"]]
    low = min(min(values.values()) for _, values in cases)
    high = max(max(values.values()) for _, values in cases)
    drawing = Drawing(900, 520)
    left, right, top, bottom = 80, 40, 120, 450

    def x_of(quantile):
        share = math.log10(1 / (1 - float(quantile)))
        return left + (share - math.log10(2)) / (4 - math.log10(2)) * (drawing.width - left - right)

    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)

    def y_of(value):
        return bottom - (math.log10(value) - decades[0]) / (len(decades) - 1) * (bottom - top)

    drawing.title(f"From when a message is due to its 250, on {place}", caption(results))
    for decade in decades:
        for factor in range(1, 10):
            if factor == 1 or decade < decades[-1]:
                drawing.line(left, y_of(factor * 10 ** decade), drawing.width - right, y_of(factor * 10 ** decade), GRID, 1.4 if factor == 1 else 0.5)
        drawing.text(left - 10, y_of(10 ** decade) + 4, f"{10.0 ** decade:g} ms", size=12, colour=FAINT, anchor="end")
    for quantile in TICKS:
        drawing.line(x_of(quantile), top, x_of(quantile), bottom)
        drawing.text(x_of(quantile), bottom + 22, f"p{float(quantile) * 100:g}", size=12, colour=FAINT, anchor="middle")
    drawing.text((left + drawing.width - right) / 2, bottom + 46, "share of the messages that took no longer", size=12, colour=FAINT, anchor="middle")
    colours = latency_colours(results["places"][place], cases)
    for (case, values), (colour, dash) in zip(cases, colours):
        points = [(x_of(q), y_of(value)) for q, value in values.items()]
        drawing.path(points, colour, dash=dash)
        for x, y in points:
            drawing.dot(x, y, colour)
    for number, ((case, _), (colour, dash)) in enumerate(zip(cases, colours)):
        y = 78 + number * 0
        x = left + number * (drawing.width - left - right) / len(cases)
        drawing.path([(x, y), (x + 26, y)], colour, dash=dash)
        drawing.text(x + 32, y - 1, f"{case['title']} at {case['rate']}/s", size=12)
        drawing.text(x + 32, y + 14, case["what"], size=11, colour=FAINT)
    return drawing


def enough(case, quantile):
    """Ten messages lie beyond it in every run."""
    return min(run["messages"] for run in case["runs"]) * (1 - float(quantile)) >= 9.99


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
    for name, drawing in plots(results).items():
        drawing.write(f"{folder}/{name}.svg")


if __name__ == "__main__":
    with open(f"{sys.argv[1]}/samples.json", encoding="utf-8") as given:
        write(json.load(given), sys.argv[1])
