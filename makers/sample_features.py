"""Make the shipped features of imagenet-sample again, from its photographs.

python -m makers.sample_features FOLDER [OUTPUT]

FOLDER holds the 1,000 photographs of the public repository EliSchwartz/imagenet-sample-images, one of each ImageNet-1k
class, their short side reduced to 256 pixels. Two files are written to OUTPUT, by default helpers/images/data:
imagenet-sample.npy, the features of EfficientNet-Lite0 as float16, and imagenet-sample.json, the names of the
photographs and where the features come from.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tempfile
from datetime import date
from pathlib import Path

import numpy as np

from helpers.core.conventions import ROOT
from helpers.core.files import write_atomically
from helpers.core.fingerprints import digest, library_versions
from helpers.images.backbones import find_weights
from helpers.images.datasets import FEATURES_FROM, load_images
from helpers.images.embeddings import embed_images
from helpers.images.weights import file_sha256

SHIPPED = ROOT / "helpers" / "images" / "data"
SHOWN_VERSIONS = ("python", "numpy", "pillow", "timm", "torch", "torchvision")


def rebuild(pictures: Path, output: Path) -> None:
    """Embed the photographs of a folder and write their features and provenance to another folder."""
    images = load_images(f"folder:{pictures}")
    backbone, weights, precision = FEATURES_FROM
    with tempfile.TemporaryDirectory() as cache_dir:
        embeddings = embed_images(images, backbone=backbone, weights=weights, precision=precision, cache_dir=cache_dir)
    if len(images) != 1000 or embeddings.skipped:
        sys.exit(f"error: {pictures} must hold 1,000 readable photographs.")
    buffer = io.BytesIO()
    np.save(buffer, embeddings.features.astype(np.float16), allow_pickle=False)
    versions = library_versions()
    about = {
        "what": "features of one photograph of each ImageNet-1k class, in the order of the classes; float16",
        "photographs": "https://github.com/EliSchwartz/imagenet-sample-images, short side reduced to 256 pixels",
        "made_by": "python -m makers.sample_features FOLDER",
        "date": date.today().isoformat(),
        "backbone": backbone,
        "weights_sha256": file_sha256(find_weights(backbone, weights)),
        "precision": precision,
        "versions": {name: versions[name] for name in SHOWN_VERSIONS},
        "features_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        "pictures_digest": digest(images.contents),
        "names": [name.removesuffix(".jpg") for name in images.names],
    }
    text = json.dumps(about, indent=1) + "\n"
    write_atomically(output / "imagenet-sample.npy", lambda file: file.write(buffer.getvalue()))
    write_atomically(output / "imagenet-sample.json", lambda file: file.write(text.encode()))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    rebuild(Path(sys.argv[1]).resolve(), Path(*sys.argv[2:] or [SHIPPED]))
