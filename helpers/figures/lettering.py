"""Texts from outside on figures, such as names of files: shown as they are, in the room that they have."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from functools import cache

from matplotlib import font_manager, get_data_path
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

_UNPRINTABLE, _MISSING = "\N{REPLACEMENT CHARACTER}", "\N{WHITE SQUARE}"
_NO_FONT = (
    "No font that is installed here has all characters of the names on the figures, and a box stands for each that is "
    "missing; install one that has them, such as Noto Sans CJK, and run again."
)


def show_as_it_is(text: Text, width: float) -> None:
    """Show a text from outside: not as mathematics, in fonts that have its characters, and not wider than its room.

    What is too long loses its middle, since names differ at their beginning and their end. A character that no
    installed font has becomes a box, which is said once on stderr.

    Parameters
    ----------
    text : Text
        On a figure, with the size and the weight that it is to have.
    width : float
        Its room, in inches.
    """
    text.set_parse_math(False)
    words = "".join(letter if letter.isprintable() else _UNPRINTABLE for letter in text.get_text())
    fonts, missing = _fonts_for(frozenset(words), font_manager.findfont(text.get_fontproperties()))
    if missing:
        _tell_once(_NO_FONT)
    text.set_fontfamily([*text.get_fontfamily(), *fonts])
    text.set_text("".join(_MISSING if letter in missing else letter for letter in words))
    _shorten(text, width * text.get_figure().dpi)


def _shorten(text: Text, pixels: float) -> None:
    """Take as much out of the middle of a text as it is too wide."""
    whole = text.get_text()

    def width(n_kept: int) -> float:
        text.set_text(_without_middle(whole, n_kept))
        return text.get_window_extent().width

    if width(len(whole)) > pixels:
        n_kept = bisect_right(range(len(whole)), pixels, key=width) - 1
        text.set_text(_without_middle(whole, max(n_kept, 1)))


def _without_middle(whole: str, n_kept: int) -> str:
    n_first = -(-n_kept // 2)
    return whole if n_kept == len(whole) else f"{whole[:n_first]}…{whole[len(whole) - n_kept // 2 :]}"


def _fonts_for(letters: frozenset[str], usual: str) -> tuple[list[str], set[str]]:
    """Find installed fonts that have the letters that the file of the usual font lacks, and the letters that none has.

    The font that has most of them is taken first.
    """
    missing, found = set(letters) - _letters_in(usual), []
    while missing:
        by_gain = sorted(_installed_fonts(), key=lambda font: len(missing & _letters_in(font[1])))
        if not by_gain or not missing & _letters_in(by_gain[-1][1]):
            break
        found.append(by_gain[-1][0])
        missing -= _letters_in(by_gain[-1][1])
    return found, missing


@cache
def _letters_in(path: str) -> frozenset[str]:
    return frozenset(map(chr, FT2Font(path).get_charmap()))


@cache
def _installed_fonts() -> Sequence[tuple[str, str]]:
    """List the upright fonts of usual weight that are installed, by name and file."""
    manager = font_manager.fontManager
    known = {font.fname for font in manager.ttflist}
    # Matplotlib remembers those of its first run, and the font may have been installed since.
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        with suppress(OSError, RuntimeError, NotImplementedError):  # such as one of pictures, which it cannot draw
            manager.addfont(path)
    # Of its own fonts, some have signs in the places of letters, and one a box for every letter.
    others = [font for font in manager.ttflist if not font.fname.startswith(get_data_path())]
    upright = [font for font in others if font.style == "normal" and font.weight in (400, "normal", "regular")]
    return sorted({(font.name, font.fname) for font in upright})


@cache
def _tell_once(sentence: str) -> None:
    print(sentence, file=sys.stderr)
