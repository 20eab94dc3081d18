"""The words of the generated world: what can be seen, asked and answered."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (225, 45, 40),
    "green": (45, 185, 60),
    "blue": (50, 80, 235),
    "yellow": (240, 220, 45),
    "purple": (180, 50, 205),
    "cyan": (50, 215, 220),
}
SHAPES = ("circle", "square", "triangle", "cross")
DIRECTIONS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
SIGNS = ("bar", "pole", "box", "slash")
"""White signs that show in one frame only: the needle."""
NUMBERS = ("one", "two", "three", "four")

KINDS = ("first", "last", "after", "count", "colour", "shape", "direction", "needle")
"""Question types."""
