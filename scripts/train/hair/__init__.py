"""Drawn hair with exact alpha: strands grown around a head, lit, and rasterised with exact coverage.

`layer` gives one RGBA picture; `groom` gives the same hair in two parts, before and behind the body, so that a real
neck and real shoulders can stand between them.
"""

from scripts.train.hair.groom import Groom, groom, layer
from scripts.train.hair.styles import STYLES

__all__ = ["STYLES", "Groom", "groom", "layer"]
