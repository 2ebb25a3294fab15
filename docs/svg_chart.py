"""Line charts as SVG text: just enough for the curves in this folder, and the same bytes on every machine."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from html import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 82, 36, 52, 56

INK, QUIET, GRID = "#1f2937", "#6b7280", "#e5e7eb"
BLUE, AMBER, GREEN, VIOLET, RED = "#2563eb", "#b45309", "#15803d", "#7c3aed", "#b91c1c"

Number = Decimal | int
Point = tuple[Number, Number]


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction: what it counts, from where to where, and where a tick stands."""

    label: str
    low: Decimal
    high: Decimal
    step: Decimal
    unit: str = ""

    def share(self, value: Number) -> Decimal:
        """Where `value` lies between low (0) and high (1)."""
        return (Decimal(value) - self.low) / (self.high - self.low)

    def ticks(self) -> list[Decimal]:
        """The values that get a tick, low first."""
        return [self.low + self.step * i for i in range(int((self.high - self.low) / self.step) + 1)]


@dataclass(slots=True)
class Chart:
    """Shapes are added in the order in which they are painted; `svg` is the finished picture."""

    title: str
    x: Axis
    y: Axis
    _shapes: list[str] = field(default_factory=list)

    def line(self, points: Iterable[Point], color: str, *, is_dashed: bool = False, width: str = "2.2") -> None:
        """A line through the points."""
        path = " ".join(f"{self._x(x)},{self._y(y)}" for x, y in points)
        dashes = ' stroke-dasharray="6 5"' if is_dashed else ""
        self._shapes.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"'
            f' stroke-linejoin="round"{dashes}/>'
        )

    def steps(self, points: Sequence[Point], color: str, *, is_dashed: bool = False) -> None:
        """A line that keeps each value until the next point."""
        corners: list[Point] = []
        for x, y in points:
            if corners and y == corners[-1][1] and x != points[-1][0]:
                continue
            if corners:
                corners.append((x, corners[-1][1]))
            corners.append((x, y))
        self.line(corners, color, is_dashed=is_dashed)

    def area(self, low: Point, high: Point, color: str) -> None:
        """A rectangle between two opposite corners."""
        left, right = self._x(low[0]), self._x(high[0])
        upper, lower = self._y(high[1]), self._y(low[1])
        self._shapes.append(
            f'<rect x="{left}" y="{upper}" width="{right - left}" height="{lower - upper}"'
            f' fill="{color}" fill-opacity="0.14"/>'
        )

    def dot(self, at: Point, color: str) -> None:
        """A point of its own."""
        self._shapes.append(f'<circle cx="{self._x(at[0])}" cy="{self._y(at[1])}" r="4.5" fill="{color}"/>')

    def text(self, at: Point, words: str, color: str = INK, *, dx: int = 0, dy: int = 0, anchor: str = "start") -> None:
        """Words beside a point, moved by pixels."""
        x, y = self._x(at[0]) + dx, self._y(at[1]) + dy
        self._shapes.append(f'<text x="{x}" y="{y}" fill="{color}" text-anchor="{anchor}">{escape(words)}</text>')

    def svg(self) -> str:
        """The picture, ending with a line break."""
        middle = (LEFT + WIDTH - RIGHT) // 2
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            ' font-family="system-ui, sans-serif" font-size="13">',
            f"<title>{escape(self.title)}</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
            f'<text x="{LEFT}" y="28" fill="{INK}" font-size="16" font-weight="600">{escape(self.title)}</text>',
            *self._grid(),
            *self._shapes,
            f'<text x="{middle}" y="{HEIGHT - 12}" fill="{QUIET}" text-anchor="middle">{escape(self.x.label)}</text>',
            f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) // 2}" fill="{QUIET}" text-anchor="middle"'
            f' transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) // 2})">{escape(self.y.label)}</text>',
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _grid(self) -> Iterable[str]:
        for value in self.y.ticks():
            y = self._y(value)
            color = QUIET if value == 0 else GRID
            yield f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="{color}"/>'
            words = f"{_plain(value)}{self.y.unit}"
            yield f'<text x="{LEFT - 8}" y="{y + 4}" fill="{QUIET}" text-anchor="end">{words}</text>'
        for value in self.x.ticks():
            x = self._x(value)
            yield (
                f'<text x="{x}" y="{HEIGHT - BOTTOM + 20}" fill="{QUIET}" text-anchor="middle">'
                f"{_plain(value)}{self.x.unit}</text>"
            )

    def _x(self, value: Number) -> Decimal:
        return (LEFT + self.x.share(value) * (WIDTH - LEFT - RIGHT)).quantize(Decimal("0.1"))

    def _y(self, value: Number) -> Decimal:
        return (HEIGHT - BOTTOM - self.y.share(value) * (HEIGHT - TOP - BOTTOM)).quantize(Decimal("0.1"))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "\u2212")
