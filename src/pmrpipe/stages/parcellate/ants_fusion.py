"""Joint label fusion by antspyx."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pmrpipe.stages.parcellate.fusion import Fused


def fuse_by_ants(
    labels: Sequence[np.ndarray], images: Sequence[np.ndarray], target: np.ndarray
) -> Fused:
    """As `fusion.fuse`, by `ants.joint_label_fusion` with its defaults (Wang et al., 2013)."""
    import ants

    def volume(array: np.ndarray) -> object:
        return ants.from_numpy(np.ascontiguousarray(array, dtype=np.float32))

    mask = np.any([map_ > 0 for map_ in labels], axis=0)
    fusion = ants.joint_label_fusion(
        volume(target),
        volume(mask),
        atlas_list=[volume(image) for image in images],
        label_list=[volume(map_) for map_ in labels],
    )
    fused = np.rint(fusion["segmentation"].numpy()).astype(np.int32)
    shares = [image.numpy() for image in fusion["probabilityimages"]]
    confidence = np.max(shares, axis=0) if shares else np.ones(target.shape)
    return Fused(fused, np.where(mask, confidence, 1).astype(np.float32))
