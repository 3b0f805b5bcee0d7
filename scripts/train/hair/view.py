"""Where the head is in a layer of hair. This module imports nothing, so that it can be used without numba."""

VIEW = 4.0
"""Width of a layer, head units (see `scripts.train.hair.head`). A mean head takes .39 of it."""
MIDDLE = -0.35
"""Height of the layer's centre above the centre of the head, head units."""
FACE_WIDTH, FACE_MIDDLE = 1.42, -0.28
"""A face box of idseg in head units: its width, and the height of its centre above the head's centre."""
