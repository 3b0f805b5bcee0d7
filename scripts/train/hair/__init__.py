"""Drawn hair with exact alpha: strands grown around a head, lit, and rasterised with exact coverage.

`groom.layer` gives one RGBA picture; `groom.groom` gives the same hair in two parts, before and behind the body, so
that a real neck and real shoulders can stand between them. Nothing is imported here: composing needs no numba.
"""
