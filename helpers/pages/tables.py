"""The tables that a reader takes home: which image is in which cluster, and what every criterion says.

They are files of comma-separated values that spreadsheets open and that pandas reads without a loss, see `READING`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from ..clustering.sweep import sweep_kmeans
from ..core.cache import cached
from ..core.fingerprints import library_versions, source_digest, to_json
from ..criteria.clusters import center_distances, representatives
from ..criteria.table import HEADLINES
from ..study import Study

N_REPRESENTATIVES = 24
READING = """\
import pandas as pd

texts = ["image", "label", "name", "chosen"]
table = pd.read_csv("clusters.csv", dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=[""])
for text in table.columns.intersection(texts):
    table[text] = table[text].fillna("").str.removeprefix("'")
"""
# What a spreadsheet may take for a formula, also after blanks and in its full width; and the mark itself, so that
# whoever takes one mark from the front of a text has the text as it was.
_FORMULA = re.compile(r"'|[\s\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Write a table as comma-separated values, in which texts are texts.

    Texts are in quotes, with commas, quotes and ends of lines as they are. One that a spreadsheet would take for a
    formula, since it begins with ``= + - @`` or white space and one of these, has an apostrophe in front, and so has
    one that begins with an apostrophe: without its first apostrophe each is what it was. Numbers have all their
    digits. The file begins with the mark of UTF-8, by which spreadsheets know its letters; bytes in a name that are no
    text are written as escapes.

    Parameters
    ----------
    table : DataFrame
        Its index is left out.

    Examples
    --------
    >>> csv_bytes(pd.DataFrame({"image": ["=1+1", 'a "b", c'], "k": [2, 3]})).decode("utf-8-sig").splitlines()
    ['"image","k"', '"\\'=1+1",2', '"a ""b"", c",3']
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(zip(*([_cell(value) for value in table[name].tolist()] for name in table)))
    return text.getvalue().encode("utf-8-sig", "backslashreplace")


def _cell(value: Any) -> Any:
    """Mark a text that a spreadsheet would take for a formula, and leave out a number that is missing."""
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    return None if value != value else value


def k_to_take(study: Study) -> list[int]:
    """List the k whose clusters are taken home: the verdict's or a convenient one, its levels, and those shown.

    Without the parameter ``chosen_k`` these are the k that the headline criteria name.
    """
    decision = study.verdict
    shown = study.params.chosen_k or [k for name in HEADLINES if (k := decision.preferred[name])]
    return sorted({decision.convenience, *map(int, decision.levels.index), *shown})


def image_table(study: Study) -> pd.DataFrame:
    """Tabulate the images that could be read: name, and label where labels are known."""
    names = study.images.names
    columns = {"image": [names[i] for i in study.embeddings.kept]}
    return pd.DataFrame(columns if study.labels is None else columns | {"label": study.labels.tolist()}, dtype=object)


def image_clusters(study: Study) -> pd.DataFrame:
    """Tabulate the clusters of each image at each k of `k_to_take`.

    Returns
    -------
    DataFrame
        A row for each image: ``image``, ``label`` where labels are known, and for each k, here 2, ``cluster_k2``;
        ``silhouette_k2``; ``rival_k2``, the nearest other cluster; and ``distance_k2``, the distance to the centre of
        the cluster in the space that k-means sees.
    """
    table = image_table(study)
    for k in k_to_take(study):
        row, labels = study.k_values.index(k), study.labels_at(k)
        table[f"cluster_k{k}"] = labels
        table[f"silhouette_k{k}"] = study.silhouettes[row]
        table[f"rival_k{k}"] = study.details.rival[row]
        table[f"distance_k{k}"] = center_distances(study.points, study.sweep.centers[row], labels)
    return table


def representative_table(study: Study, n_images: int = N_REPRESENTATIVES) -> pd.DataFrame:
    """Tabulate images to label by hand, at the k of the verdict or a convenient one; see `representatives`."""
    k = study.verdict.convenience
    row = study.k_values.index(k)
    chosen = representatives(
        study.points,
        study.sweep.centers[row],
        study.labels_at(k),
        study.silhouettes[row],
        n_images=n_images,
        random_state=study.params.random_state,
    )
    of_images = image_table(study).assign(silhouette=study.silhouettes[row]).iloc[chosen["row"]]
    return pd.concat([chosen.drop(columns="row"), of_images.reset_index(drop=True)], axis=1)


def verdict_facts(study: Study) -> dict[str, Any]:
    """Collect the verdict and all that it rests on, in values that JSON can hold.

    What moves with chance is told with it: ``draws`` has the shares of other halvings that name each k, with 0 for
    none; ``another_seed`` has, at each k that is taken home, the agreement of the clusters with those of another seed
    of k-means, as an adjusted Rand index.
    """
    decision, params, images = study.verdict, study.params, study.images
    return {
        "n_clusters": decision.n_clusters,
        "convenient_k": decision.convenience,
        "k_taken": k_to_take(study),
        "levels": decision.levels.rename_axis("n_clusters").reset_index().to_dict("records"),
        "draws": {int(k): share for k, share in decision.decision.draws.items()},
        "another_seed": _another_seed(study),
        "preferred": decision.preferred,
        "sentences": decision.sentences,
        "parameters": params.model_dump(),
        "command": f"python -m helpers export {params.as_options()}".strip(),
        "data": {
            "dataset": images.dataset,
            "credit": images.credit,
            "fingerprint": images.fingerprint,
            "n_images": len(study.embeddings.kept),
            "skipped": study.embeddings.skipped,
        },
        "versions": library_versions(),
        "helpers_sha256": source_digest(),
    }


def _another_seed(study: Study) -> dict[int, float]:
    """Measure at each k that is taken home how well the clusters of the next seed agree, as chapter *Found again?*."""
    params = study.params
    seed = (params.random_state + 1) % 2**32
    chosen = {"n_init": params.n_init, "algorithm": params.algorithm, "random_state": seed}
    again = cached(
        sweep_kmeans, study.points, study.k_values, cache_dir=params.cache_dir, unkeyed={"n_jobs": -1}, **chosen
    )
    rows = {k: study.k_values.index(k) for k in k_to_take(study)}
    return {k: float(adjusted_rand_score(study.sweep.labels[row], again.labels[row])) for k, row in rows.items()}


def take_home(study: Study, n_representatives: int = N_REPRESENTATIVES) -> dict[str, bytes]:
    """Write the tables and the verdict of a study as files, by name.

    Parameters
    ----------
    study : Study
    n_representatives : int
        Number of images that cover the clusters, see `representative_table`.

    Returns
    -------
    dict of str to bytes
        ``clusters.csv``, ``criteria.csv``, ``representatives.csv`` and ``verdict.json``.
    """
    facts = json.dumps(_without_nan(verdict_facts(study)), indent=1, default=to_json, allow_nan=False)
    return {
        "clusters.csv": csv_bytes(image_clusters(study)),
        "criteria.csv": csv_bytes(study.criteria.rename_axis("n_clusters").reset_index()),
        "representatives.csv": csv_bytes(representative_table(study, n_representatives)),
        "verdict.json": facts.encode(),
    }


def _without_nan(value: Any) -> Any:
    """Write what is missing as null, since JSON has no word for it."""
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value
