"""Consecutive chunks of images."""


def chunks(images: int, rows: int) -> list[slice]:
    """Cuts the images into consecutive slices of at most `rows`.

    Example:
        >>> chunks(5, 2)
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(start, min(start + rows, images)) for start in range(0, images, rows)]
