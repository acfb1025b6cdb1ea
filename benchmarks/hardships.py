"""What happens to embeddings when things go wrong, tried harder than the tests have time for.

python -m benchmarks.hardships kills [N]    N kills (default 20) at random moments, then a finish, of 640 solar cells
python -m benchmarks.hardships bytes        every byte of a small chunk flipped, and every truncation of it
python -m benchmarks.hardships writers      two processes that fill the same store at once
python -m benchmarks.hardships disk         a full disk: a tmpfs of 600 kB (needs the right to mount it)
python -m benchmarks.hardships files        bad and strange files, and what becomes of each
"""

from __future__ import annotations

import io
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.core.conventions import ROOT
from helpers.images import embeddings
from helpers.images.datasets import load_images
from helpers.images.embeddings import Embeddings, embed_images
from helpers.images.weights import EmbeddingError

from .timing import show

_PROGRAM = """
import sys
from helpers.images.datasets import load_images
from helpers.images.embeddings import embed_images
embed_images(load_images("solar-cells", n_images=640), cache_dir=sys.argv[1])
"""


def start(cache_dir: Path) -> subprocess.Popen:
    """Another process that embeds 640 solar cells into a store."""
    return subprocess.Popen([sys.executable, "-c", _PROGRAM, cache_dir], cwd=ROOT, stderr=subprocess.DEVNULL)


def chunks(cache_dir: Path) -> dict[str, bytes]:
    """The stored chunks and their bytes."""
    return {path.name: path.read_bytes() for path in sorted(cache_dir.glob("embed_chunk/*.npz"))}


def same(first: Embeddings, second: Embeddings) -> bool:
    """Whether two results are equal bit for bit."""
    return first.features.tobytes() == second.features.tobytes() and first.skipped == second.skipped


def kills(folder: Path, n_kills: int) -> None:
    """SIGKILL after a random time, again and again; then the run is let finish."""
    images = load_images("solar-cells", n_images=640)
    whole = embed_images(images, cache_dir=folder / "whole")
    rng, longest, there = random.Random(0), 60.0, []
    while len(there) < n_kills:
        process, started = start(folder / "killed"), time.perf_counter()
        try:
            if process.wait(timeout=rng.uniform(0, longest)):
                raise SystemExit(f"The process that embeds ended with {process.returncode}.")
            # It was not hit: from the beginning, and no later than it took.
            longest = time.perf_counter() - started
            shutil.rmtree(folder / "killed")
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            there.append(len(chunks(folder / "killed")))
    finished = embed_images(images, cache_dir=folder / "killed")
    print(f"{n_kills} kills; chunks in the store after each: {there}")
    print(f"finished: features equal bit for bit: {same(finished, whole)}; ", end="")
    print(f"chunks equal byte for byte: {chunks(folder / 'killed') == chunks(folder / 'whole')}")


def damaged_bytes(folder: Path) -> None:
    """Whether every flipped byte and every truncation of a small chunk is noticed."""
    images = load_images("digits", n_images=2)
    calls: list[dict] = []
    original = embeddings.chunk_call
    embeddings.chunk_call = lambda *args: calls.append(original(*args)) or calls[-1]
    try:
        embed_images(images, backbone="pixels", cache_dir=folder)
    finally:
        embeddings.chunk_call = original
    (path,) = folder.glob("embed_chunk/*.npz")
    content, noticed, rng = path.read_bytes(), Counter(), random.Random(0)
    call = calls[-1]  # the others asked for features of other devices
    if not embeddings.is_cached(embeddings.embed_chunk, **call):
        raise SystemExit("The chunk is not believed as it was stored.")
    for i in range(len(content)):
        path.write_bytes(content[:i] + bytes([content[i] ^ 1 << rng.randrange(8)]) + content[i + 1 :])
        noticed["flips", embeddings.is_cached(embeddings.embed_chunk, **call)] += 1
        path.write_bytes(content[:i])
        noticed["truncations", embeddings.is_cached(embeddings.embed_chunk, **call)] += 1
    for what in ("flips", "truncations"):
        print(f"{what}: {len(content)} tried, {noticed[what, False]} noticed, {noticed[what, True]} believed")


def writers(folder: Path) -> None:
    """Two processes on one store at once."""
    both = [start(folder / "both"), start(folder / "both")]
    print("two writers ended with", [process.wait() for process in both])
    images = load_images("solar-cells", n_images=640)
    whole = embed_images(images, cache_dir=folder / "whole")
    print("features equal bit for bit:", same(embed_images(images, cache_dir=folder / "both"), whole))
    print("chunks equal byte for byte:", chunks(folder / "both") == chunks(folder / "whole"))


def full_disk(folder: Path) -> None:
    """The message, and the run that goes on where there is room again."""
    images = load_images("solar-cells", n_images=320)
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk], check=True)
    try:
        try:
            embed_images(images, cache_dir=disk)
        except EmbeddingError as error:
            print(error)
        time.sleep(1)  # the other thread may still be at a chunk of its own
        print(f"chunks kept: {len(chunks(disk))} of 5; files half written: {len(list(disk.rglob('*.part')))}")
        subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
        whole = embed_images(images, cache_dir=folder / "whole")
        print("with more room, equal bit for bit:", same(embed_images(images, cache_dir=disk), whole))
    finally:
        subprocess.run(["umount", disk], check=True)


def write_files(folder: Path) -> None:
    """One of each kind of file that collections of pictures have been seen to hold."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (60, 90, 3), dtype=np.uint8))
    encoded = io.BytesIO()
    image.save(encoded, "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "plain.jpg")
    image.save(folder / "UPPER CASE ñ 猫.JPEG", "JPEG")
    image.save(folder / "EXIF-rotated.jpg", exif=exif)
    image.convert("CMYK").save(folder / "CMYK.jpg")
    image.convert("L").save(folder / "grey.webp")
    Image.fromarray(rng.integers(0, 2**16, (60, 90), dtype=np.uint16)).save(folder / "16-bit.png")
    Image.fromarray(rng.random((60, 90), dtype=np.float32)).save(folder / "floats.tif")
    palette = image.quantize(16)
    palette.save(folder / "palette with transparency.png", transparency=3)
    image.convert("RGBA").save(folder / "transparent.png")
    image.save(folder / "animated.gif", save_all=True, append_images=[image.rotate(90), image.rotate(180)])
    Image.new("RGB", (1, 1), "red").save(folder / "1x1.png")
    Image.new("RGB", (1, 60_000), "red").save(folder / "1 by 60000.png")
    Image.new("1", (20_000, 10_000)).save(folder / "bomb.png")
    (folder / "truncated.jpg").write_bytes(encoded.getvalue()[:-200])
    (folder / "zero bytes.png").write_bytes(b"")
    (folder / "text.jpg").write_text("a text that calls itself a picture")
    (folder / "PNG named.jpg").write_bytes((folder / "1x1.png").read_bytes())
    (folder / "PostScript.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (folder / "link to nowhere.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "forbidden.png").write_bytes((folder / "1x1.png").read_bytes())
    (folder / "forbidden.png").chmod(0)
    (folder / "directory.png").mkdir()
    (folder / ".hidden.png").write_bytes((folder / "1x1.png").read_bytes())
    (folder / "notes.txt").write_text("no picture")
    (folder / "loop").symlink_to(folder)


def bad_files(folder: Path) -> None:
    """Each file, and whether it was embedded, skipped and why, or left out."""
    pictures = folder / "pictures"
    pictures.mkdir()
    write_files(pictures)
    images = load_images(f"folder:{pictures}")
    result = embed_images(images, cache_dir=folder / "cache")
    became = {name: f"skipped: {reason}" for name, reason in result.skipped}
    became |= {images.names[i]: "embedded" for i in result.kept}
    paths = sorted(path.name for path in pictures.iterdir())
    show([{"file": name, "became": became.get(name, "left out")} for name in paths])
    print(f"{len(result.kept)} embedded, {len(result.skipped)} skipped")


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["files"]
    with tempfile.TemporaryDirectory() as folder:
        if what == "kills":
            kills(Path(folder), int(rest[0]) if rest else 20)
        else:
            {"bytes": damaged_bytes, "writers": writers, "disk": full_disk, "files": bad_files}[what](Path(folder))
