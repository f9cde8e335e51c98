"""What is no person: pictures to learn it from and photos to measure it on, out of packages of Debian 12.

    apt-get download scratch tuxpaint-stamps-default    # or the same files from wherever Debian's archive is kept
    apt-get download gnome-control-center-data lomiri-wallpapers-16.04 mate-backgrounds opencv-doc palapeli-data \\
        python3-skimage
    python benchmarks/negatives.py DATA PACKAGES OUT

OUT becomes the data set DATA, by links, with more pictures, in most of which there is nobody.

stamps-negative, split train: photos of scenes (Scratch's backgrounds, CC BY-SA 3.0), as they are and with photos of
animals and things before them that were cut out along their outlines (Tux Paint's stamps, GPL 2 or later). A network
that learned from portraits takes what stands out before a scene for a person; here something stands out, and is none.

persons-before-scenes, split train: every third person of some sources of DATA's split train, cut out by the mask and
put before the same scenes, from far away to so near that head or feet are outside of the picture. Without these, what
is learned of the former is that whatever was pasted, is small, or has no head is no person. DATA's terms hold for them.

photos-negative, split val: photos of animals, flowers, things and places from the other packages, to see what a network
makes of what it has not learned.

The same packages give the same files, to the byte, with the same version of Pillow. `negatives.toml` beside this file
has the packages' hashes and what is taken of them.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import sys
import tarfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console

from edge_deeplab.cli.progress import image_progress
from edge_deeplab.data.doubts import DOUBTS
from edge_deeplab.data.manifest import MANIFEST, ManifestDataset
from edge_deeplab.errors import DatasetError, EdgeDeeplabError
from edge_deeplab.evaluation.metrics import person_mask
from edge_deeplab.files import new_folder, output_error, write_bytes
from edge_deeplab.image import save_image

LIST = Path(__file__).with_suffix(".toml")
LEARNED, BESIDE, LOOKED_AT = "stamps-negative", "persons-before-scenes", "photos-negative"
_SPLIT = {LEARNED: "train", BESIDE: "train", LOOKED_AT: "val"}
_LONGEST = 640  # side of a photo that is looked at, about that of the other sources' photos
_SEED = 1
_WIDEST = (0.45, 1.0)  # the thing in front, as a part of the scene: from a dog in the garden to one before the lens
_SECOND = (0.2, 0.5)  # another one behind it, in every second picture
_CUT = 0.25  # of a thing's sides, at most, is outside of the picture
_EVERY = 3  # of the persons, those that are put before a scene
_PERSON = (0.3, 1.8)  # from far away to one that the picture has no room for
_PERSON_CUT = 0.1  # where there is room


class Labelled(NamedTuple):
    """A picture (RGB) and its mask (L), of the same size."""

    picture: Image.Image
    mask: Image.Image


@dataclass(frozen=True)
class Package:
    """What is taken of a package: the files of a folder in it."""

    package: str
    sha256: str
    folder: str
    files: tuple[str, ...]


def main(words: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="a data set with manifest.csv")
    parser.add_argument("packages", type=Path, help="the folder with the packages")
    parser.add_argument("out", type=Path, help="a new folder")
    arguments = parser.parse_args(words)
    try:
        scenes, things, *photos = packages()
        with image_progress("making pictures") as progress:
            places = opened(arguments.packages, scenes, "RGB")
            learned = pictures(places, opened(arguments.packages, things, "RGBA"), progress)
        with image_progress("cutting out persons") as progress:
            beside = persons(ManifestDataset(arguments.data, split="train"), person_sources(), places, progress)
        seen = {
            f"photo-{package.package.split('_')[0]}-{_plain(name)}": _nobody(_shrunk(photo))
            for package in photos
            for name, photo in opened(arguments.packages, package, "RGB").items()
        }
        write(arguments.data, {LEARNED: learned, BESIDE: beside, LOOKED_AT: seen}, arguments.out)
    except EdgeDeeplabError as error:
        sys.exit(f"{Path(__file__).name}: {error}")
    made = f"{len(learned)} pictures of {LEARNED}, {len(beside)} of {BESIDE} and {len(seen)} of {LOOKED_AT}"
    Console().print(f"{arguments.out}: {made} beside those of {arguments.data}", soft_wrap=True)


def packages() -> tuple[Package, ...]:
    """The scenes, the things that are put before them, and those with photos that are looked at."""
    table = tomllib.loads(LIST.read_text(encoding="utf-8"))
    return tuple(
        Package(one["package"], one["sha256"], one["folder"], tuple(one["files"]))
        for one in (table["scenes"], table["things"], *table["photos"])
    )


def person_sources() -> tuple[str, ...]:
    """The sources whose persons are put before the scenes."""
    return tuple(tomllib.loads(LIST.read_text(encoding="utf-8"))["persons"]["sources"])


def opened(folder: Path, package: Package, mode: str) -> dict[str, Image.Image]:
    """The pictures of a package, by their names in its folder.

    Raises:
        DatasetError: the package is not there, or is another one than the list's.
    """
    path = folder / package.package
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read ({error.strerror}): get it with apt-get download {package.package.split('_')[0]}"
        ) from error
    if hashlib.sha256(data).hexdigest() != package.sha256:
        raise DatasetError(f"{path} is not the package that {LIST.name} names: get the version of its name again")
    wanted = {f"./{package.folder}/{name}": name for name in package.files}
    found = {}
    # Read one by one, never unpacked: no name in the archive becomes a path.
    with tarfile.open(fileobj=io.BytesIO(_member(data, "data.tar.xz")), mode="r:xz") as archive:
        for entry in archive:
            if entry.name in wanted and (content := archive.extractfile(entry)) is not None:
                found[wanted[entry.name]] = Image.open(io.BytesIO(content.read())).convert(mode)
    return {name: found[name] for name in package.files}


def _member(package: bytes, name: str) -> bytes:
    """A file of a Debian package, which is an archive of ar: 8 bytes, then files behind headers of 60 bytes each."""
    place = 8
    while place < len(package):
        header = package[place : place + 60]
        size = int(header[48:58])
        if header[:16].decode("ascii").rstrip(" /") == name:
            return package[place + 60 : place + 60 + size]
        place += 60 + size + size % 2
    raise DatasetError(f"a package has no {name}: it is not one of those that {LIST.name} names")


def pictures(
    scenes: Mapping[str, Image.Image],
    things: Mapping[str, Image.Image],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Labelled]:
    """Name to picture without a person: each scene (RGB) as it is, and each thing (RGBA) before one of them."""
    made = {f"scene-{_plain(name)}": _nobody(scene) for name, scene in scenes.items()}
    names, others = tuple(scenes), tuple(things)
    for index, (name, thing) in enumerate(things.items()):
        random = np.random.default_rng([_SEED, index])
        picture = scenes[names[random.integers(len(names))]].copy()
        if random.random() < 0.5:
            _paste(picture, things[others[random.integers(len(others))]], _SECOND, random)
        _paste(picture, thing, _WIDEST, random)
        made[f"thing-{_plain(name)}"] = _nobody(picture)
        progress(index + 1, len(things))
    return made


def persons(
    data: ManifestDataset,
    sources: Sequence[str],
    scenes: Mapping[str, Image.Image],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Labelled]:
    """Name to picture with a person: every third of these sources', cut out, before a scene (RGB) that may be mirrored.

    A photo without a person, or with doubts about its mask, is left out.
    """
    made = {}
    names = tuple(scenes)
    wanted = [index for index, row in enumerate(data.rows) if row.source in sources][::_EVERY]
    for done, index in enumerate(wanted, 1):
        sample = data[index]
        progress(done, len(wanted))
        if not sample.mask.any() or sample.ignored is not None:
            continue
        random = np.random.default_rng([_SEED, _EVERY, index])
        picture = scenes[names[random.integers(len(names))]]
        if random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        person = Image.fromarray(np.dstack([sample.image, sample.mask]))
        person = _scaled(person, picture.size, float(np.exp(random.uniform(*np.log(_PERSON)))))
        left, top = _place(person.size, picture.size, _PERSON_CUT, random)
        if person_mask(sample.mask)[-1].any():  # nobody ends in the air
            top = max(top, picture.height - person.height)
        place = left, top
        picture, mask = picture.copy(), Image.new("L", picture.size)
        picture.paste(person, place, person)
        mask.paste(person.getchannel("A"), place)
        made[f"person-{sample.id}"] = Labelled(picture, mask)
    return made


def _nobody(picture: Image.Image) -> Labelled:
    return Labelled(picture, Image.new("L", picture.size))


def _shrunk(photo: Image.Image) -> Image.Image:
    photo.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
    return photo


def _plain(name: str) -> str:
    return Path(name).with_suffix("").as_posix().replace("/", "-").lower()


def _paste(picture: Image.Image, thing: Image.Image, part: tuple[float, float], random: np.random.Generator) -> None:
    """Put a thing somewhere into a picture, as large as this part of what would fill it."""
    thing = _scaled(thing, picture.size, random.uniform(*part))
    picture.paste(thing, _place(thing.size, picture.size, _CUT, random), thing)


def _scaled(thing: Image.Image, room: tuple[int, int], part: float) -> Image.Image:
    """What is seen of a picture (RGBA), as large as this part of the largest that there is room for."""
    thing = thing.crop(thing.getchannel("A").getbbox())
    wanted = part * min(room[0] / thing.width, room[1] / thing.height)
    size = max(1, round(thing.width * wanted)), max(1, round(thing.height * wanted))
    return thing.resize(size, Image.Resampling.LANCZOS)


def _place(size: tuple[int, int], room: tuple[int, int], cut: float, random: np.random.Generator) -> tuple[int, int]:
    """Where to put something: at most this part of its sides is outside, or no room is left beside it."""
    ends = (
        (-cut * own, whole - (1 - cut) * own) if own <= whole else (whole - own, 0)
        for own, whole in zip(size, room, strict=True)
    )
    left, top = (round(random.uniform(*end)) for end in ends)
    return left, top


def write(data: Path, made: Mapping[str, Mapping[str, Labelled]], out: Path) -> None:
    """Write the data set with the pictures of each source behind its own.

    Raises:
        DatasetError: DATA's manifest cannot be read, or it has the source already.
        OutputError: OUT is there, or cannot be written to.
    """
    if there := {row.source for row in ManifestDataset(data).rows} & set(made):
        raise DatasetError(f"{data} has the source {min(there)} already: give the data set without it")
    with (data / MANIFEST).open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        columns, rows = list(table.fieldnames or ()), list(table)
    with new_folder(out) as folder:
        try:
            for name in ("images", "masks"):
                (folder / name).mkdir()
            for row in rows:
                for file in (f"images/{row['id']}.jpg", f"masks/{row['id']}.png"):
                    (folder / file).symlink_to((data / file).resolve())
            if (data / DOUBTS).is_dir():
                (folder / DOUBTS).symlink_to((data / DOUBTS).resolve())
        except OSError as error:
            raise output_error(out, error) from error
        for source, name, (picture, mask) in ((source, *one) for source, some in made.items() for one in some.items()):
            save_image(folder / "images" / f"{name}.jpg", picture, quality=92)
            save_image(folder / "masks" / f"{name}.png", mask)
            about = {"id": name, "source": source, "split": _SPLIT[source], "group": name}
            about |= {"width": str(picture.width), "height": str(picture.height)}
            about |= {"person_fraction": str(round(float((np.asarray(mask) > 127).mean()), 4))}
            rows.append({column: about.get(column, "") for column in columns})
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_bytes(folder / MANIFEST, text.getvalue().encode())


if __name__ == "__main__":
    main()
