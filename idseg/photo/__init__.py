"""From a matte to a finished ID photo.

::

    sizes        what a document asks for (documents/*.toml), by name or by number
    search       finding a document by what people type
    head         chin, eyes, hair, crown and width of a head, measured on face points and matte
    place        where the head goes: scale, turn and shift that obey the size's rules, and what the photo lacks
    background   plain, gradient, picture or transparent
    render       one resampling of the person, laid over the background
    output       JPEG, PNG, WebP, TIFF, PDF with DPI and sRGB, into a range of kilobytes
    sheet        many photos on one sheet of paper; pdf: in true millimetres
    finish       all of it: a Result and a size in, a finished photo and the tale of what was done out
"""

from __future__ import annotations

from idseg.photo.background import Background, parse_background
from idseg.photo.finish import Finished, finish
from idseg.photo.search import search_sizes
from idseg.photo.size import PhotoSize
from idseg.photo.sizes import find_size, load_sizes

__all__ = [
    "Background",
    "Finished",
    "PhotoSize",
    "find_size",
    "finish",
    "load_sizes",
    "parse_background",
    "search_sizes",
]
