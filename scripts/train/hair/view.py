"""Where a layer of hair shows the head: numbers that whoever lays hair over people needs. No imports."""

VIEW = 4.0
"""Width of a layer, head units (see `scripts.train.hair.head`): a mean head is .39 of it."""
MIDDLE = -0.35
"""Height of a layer's middle over the middle of the head, units."""
FACE_WIDTH, FACE_MIDDLE = 1.42, -0.28
"""A face box as idseg finds it, units: its width, and its middle over the head's middle."""
