"""How the long-context benchmarks score answers: pure functions from a prediction and references to a number in [0, 1].

Each follows the official scorer to the digit, its oddities included, so that numbers can stand beside published ones; what
is odd is said where it is. Where there are several references the best counts, unless a function says otherwise.
"""
