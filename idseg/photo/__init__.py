"""Makes a finished ID photo from a matte.

::

    sizes        requirements of a document (documents/*.toml), by name or by number
    search       finds a document from a user's query
    head         measures chin, eyes, hair, crown and width of a head from face points and matte
    place        places the head: scale, rotation and shift by the size's rules, and what the photo lacks
    background   plain, gradient, picture or transparent
    render       resamples the person once and composites it over the background
    output       JPEG, PNG, WebP, TIFF, PDF with DPI and sRGB, in a range of kilobytes
    sheet        several photos on one sheet of paper; pdf: in true millimetres
    window       the window of a photo that a size needs
    finish       runs all steps: a Result and a size in; a finished photo and a record of its processing out

>>> from idseg import Segmenter
>>> from idseg.photo.finish import finish
>>> from idseg.photo.window import crop_options
>>> from idseg.photo.sizes import find_size
>>> size = find_size("us-visa")
>>> photo = finish(Segmenter()("selfie.jpg", crop=crop_options(size)), size)  # doctest: +SKIP
>>> open("visa.jpg", "wb").write(photo.encode().content)  # doctest: +SKIP

This module imports nothing, so that finding a document loads no picture library.
"""
