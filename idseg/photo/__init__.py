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

>>> from idseg import Segmenter
>>> from idseg.photo.finish import crop_options, finish
>>> from idseg.photo.sizes import find_size
>>> size = find_size("us-visa")
>>> photo = finish(Segmenter()("selfie.jpg", crop=crop_options(size)), size)  # doctest: +SKIP
>>> open("visa.jpg", "wb").write(photo.encode().content)  # doctest: +SKIP

The package itself imports nothing: finding a document loads no picture library.
"""
