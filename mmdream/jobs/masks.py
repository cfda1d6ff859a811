"""Masks opened: a file that is a picture or a film, for the picture or the film that it lies on."""

from __future__ import annotations

import os
from fractions import Fraction

from mmdream.core.errors import UserError
from mmdream.film.mask import MaskReader, MaskSource, mask_from_image, mask_from_video
from mmdream.film.source import probe
from mmdream.picture import files
from mmdream.settings.passes import Mask


def open_mask(mask: Mask, width: int, height: int) -> MaskReader:
    """Open a mask beside a film or a picture.

    Args:
        mask: its file is looked at; of a film no more than the first frame.
        width: of the film, px, as shown.
        height: likewise.

    Raises:
        UserError: no such file, neither a picture nor a film, no picture in it, or another aspect.
    """
    return MaskReader(_open_mask_source(mask), width, height, mask.feather)


def check_mask(mask: Mask, width: int, height: int) -> None:
    """Refuse a mask that cannot be used, before any work is done.

    Args:
        mask: it is read at second 0.
        width: of the film, px, as shown.
        height: likewise.

    Raises:
        UserError: what `open_mask` says, or no frame of it can be read.
    """
    reader = open_mask(mask, width, height)
    reader.at(Fraction(0))
    reader.close()


def _open_mask_source(mask: Mask) -> MaskSource:
    path = mask.path
    if files.is_image(path):
        return mask_from_image(path, files.read_image(path))
    try:
        film = probe(path)
    except UserError as error:
        if not os.path.isfile(path) or not path.stat().st_size:
            raise
        raise UserError(
            f"{path}: is no mask that can be read; give a film or a {', '.join(files.IMAGE_SUFFIXES)} file"
        ) from error
    return mask_from_video(film)
