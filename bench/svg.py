"""The few shapes of SVG that the plots need, and their colours."""
from xml.sax.saxutils import escape

FONT = "font-family='DejaVu Sans, Helvetica, Arial, sans-serif'"
INK, FAINT, GRID, PAPER = "#1f2933", "#6b7785", "#e3e8ee", "#ffffff"
POSTFIX, POSTHOUSE, POSTHOUSE_LIGHT, GOAL = "#9aa5b1", "#0b7285", "#5fb3c4", "#c2410c"
# Processes in a stacked bar, told apart in the order in which a message meets them.
SERIES = ("#0b7285", "#e8890c", "#5f3dc4", "#2f9e44", "#c92a2a", "#1c7ed6", "#a37c00", "#868e96", "#d6336c", "#495057")


class Drawing:
    def __init__(self, width, height):
        self.width, self.height = width, height
        self.parts = [f"<rect width='{width}' height='{height}' fill='{PAPER}'/>"]

    def text(self, x, y, words, size=13, colour=INK, anchor="start", weight="normal"):
        """With a rim of paper, so that a line behind it does not touch the letters."""
        self.parts.append(f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' fill='{colour}' text-anchor='{anchor}' font-weight='{weight}' "
                          f"stroke='{PAPER}' stroke-width='4' paint-order='stroke' {FONT}>{escape(str(words))}</text>")

    def rect(self, x, y, width, height, colour, round_by=2):
        self.parts.append(f"<rect x='{x:.1f}' y='{y:.1f}' width='{max(width, 0.5):.1f}' height='{height:.1f}' rx='{round_by}' fill='{colour}'/>")

    def line(self, x1, y1, x2, y2, colour=GRID, width=1, dash=None):
        dashes = f" stroke-dasharray='{dash}'" if dash else ""
        self.parts.append(f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' stroke-width='{width}'{dashes}/>")

    def path(self, points, colour, width=2.5, dash=None):
        dashes = f" stroke-dasharray='{dash}'" if dash else ""
        steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f"<polyline points='{steps}' fill='none' stroke='{colour}' stroke-width='{width}' stroke-linejoin='round'{dashes}/>")

    def dot(self, x, y, colour, radius=3.5):
        self.parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{radius}' fill='{colour}'/>")

    def title(self, words, below):
        self.text(24, 34, words, size=19, weight="bold")
        self.text(24, 56, below, size=12, colour=FAINT)

    def key(self, x, y, entries):
        """[(colour, words)] in a row."""
        for colour, words in entries:
            self.rect(x, y - 10, 12, 12, colour)
            self.text(x + 18, y, words, size=12)
            x += 40 + 6.6 * len(words)

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"<svg xmlns='http://www.w3.org/2000/svg' width='{self.width}' height='{self.height}' viewBox='0 0 {self.width} {self.height}'>\n"
                       + "\n".join(self.parts) + "\n</svg>\n")


def nice_step(most, steps=6):
    """A round distance of grid lines so that about `steps` of them reach `most`."""
    size = 1
    while size * 10 * steps <= most:
        size *= 10
    while size * steps > most * 10:
        size /= 10
    return next(size * factor for factor in (1, 2, 5, 10) if size * factor * steps >= most)
