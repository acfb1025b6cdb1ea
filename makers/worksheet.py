"""The answers of the worksheet's key about the collections that come with the book.

python -m makers.worksheet       writes book/data/worksheet.json; minutes, most of them for embedding the photographs
"""

from __future__ import annotations

import json

from helpers.core.conventions import ROOT
from helpers.core.files import write_atomically
from helpers.core.fingerprints import library_versions, source_digest
from helpers.pages.worksheet import worksheet_answers
from helpers.parameters import load_parameters
from helpers.study import Study

RESULTS = ROOT / "book" / "data" / "worksheet.json"
STUDIES = {"solar cells": "default", "digits": "digits", "ImageNet sample": "imagenet"}


def main() -> None:
    """Compute the answers of each study and write them with what they came from."""
    answers, images = {}, {}
    for name, file in STUDIES.items():
        study = Study(load_parameters(ROOT / "params" / f"{file}.yml"))
        answers[name] = json.loads(worksheet_answers(study).to_json())  # what is missing is null
        images[name] = study.images.fingerprint
        print(f"{name}: {answers[name]}")
    provenance = {
        "command": "python -m makers.worksheet",
        "parameters": {name: f"params/{file}.yml" for name, file in STUDIES.items()},
        "images, SHA-256": images,
        "helpers, SHA-256": source_digest(worksheet_answers.__module__),
        "versions": library_versions(),
    }
    text = json.dumps({"provenance": provenance, "answers": answers}, indent=1) + "\n"
    write_atomically(RESULTS, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    main()
