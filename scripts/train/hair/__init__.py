"""Drawn hair with exact alpha: strands grow on a head, are lit, and are rasterised with exact coverage.

`groom.layer` returns one RGBA picture. `groom.groom` returns the hair in two parts, in front of the body and behind it,
so that the neck and shoulders of a photo fit between them. This module imports nothing: composing needs no numba.
"""
