"""benchmarks/negatives.py: what is no person, out of packages, here made ones of the same kind."""

from __future__ import annotations

import hashlib
import importlib
import io
import shutil
import tarfile
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_deeplab.data.manifest import ManifestDataset, ManifestRow
from edge_deeplab.training.recipe import load_recipe

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
_BLUE, _RED = (20, 40, 200), (220, 30, 20)
_THINGS = [f"animals/{name}.png" for name in ("cow", "hen", "pig", "ram", "yak")]


@pytest.fixture
def negatives(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS.parent))
    return importlib.import_module("benchmarks.negatives")


def _package(folder: Path, name: str, files: dict[str, Image.Image]) -> str:
    """Write a Debian package with these files, and one beside them that nobody asked for; its SHA-256."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as archive:
        for place, picture in {**files, "../../outside.png": next(iter(files.values()))}.items():
            content = io.BytesIO()
            picture.save(content, format="PNG")
            entry = tarfile.TarInfo(f"./{place}")
            entry.size = len(content.getvalue())
            archive.addfile(entry, io.BytesIO(content.getvalue()))
    whole = b"!<arch>\n"
    # A file of odd length is followed by a byte that belongs to none.
    for member, data in (("debian-binary", b"2.0\n\n"), ("data.tar.xz", inner.getvalue())):
        whole += (
            f"{member:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        )
    (folder / name).write_bytes(whole)
    return hashlib.sha256(whole).hexdigest()


@pytest.fixture
def packages(negatives: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with packages: one blue scene, red things that fill the middle half of their own pictures, a photo."""
    folder = tmp_path / "packages"
    folder.mkdir()
    thing = Image.new("RGBA", (80, 60))
    thing.paste((*_RED, 255), (20, 15, 60, 45))
    scenes = _package(folder, "scenes_1_all.deb", {"usr/places/Nature/lake.png": Image.new("RGB", (120, 90), _BLUE)})
    things = _package(folder, "things_1_all.deb", {f"usr/stamps/{name}": thing for name in _THINGS})
    photo = Image.linear_gradient("L").resize((900, 600)).convert("RGB")
    photos = _package(folder, "photos-1.2_1_all.deb", {"usr/photos/Meadow.png": photo})
    listed = tmp_path / "list.toml"
    listed.write_text(
        f'[persons]\nsources = ["made"]\n'
        f'[scenes]\npackage = "scenes_1_all.deb"\nsha256 = "{scenes}"\nfolder = "usr/places"\n'
        f'files = ["Nature/lake.png"]\n[things]\npackage = "things_1_all.deb"\nsha256 = "{things}"\n'
        f'folder = "usr/stamps"\nfiles = {_THINGS}\n[[photos]]\npackage = "photos-1.2_1_all.deb"\n'
        f'sha256 = "{photos}"\nfolder = "usr/photos"\nfiles = ["Meadow.png"]\n'
    )
    monkeypatch.setattr(negatives, "LIST", listed)
    return folder


@pytest.fixture
def doubted(made_persons: Path, tmp_path: Path) -> Path:
    """The made persons, and doubts about all of the first one's mask."""
    data = shutil.copytree(made_persons, tmp_path / "data")
    (data / "doubts").mkdir()
    with Image.open(data / "masks" / "0.png") as mask:
        Image.new("L", mask.size, 255).save(data / "doubts" / "0.png")
    return data


def test_each_scene_and_each_thing_before_one_is_a_picture_without_people(
    negatives: ModuleType, packages: Path, made_persons: Path, tmp_path: Path
) -> None:
    out = tmp_path / "with"
    negatives.main([str(made_persons), str(packages), str(out)])
    before, after = ManifestDataset(made_persons), ManifestDataset(out)
    assert [row.id for row in after.rows[: len(before)]] == [row.id for row in before.rows]
    for index in (0, len(before) - 1):
        np.testing.assert_array_equal(after[index].image, before[index].image)
        np.testing.assert_array_equal(after[index].mask, before[index].mask)
    *made, photo = (after[i] for i in range(len(before), len(after)) if after.rows[i].source != "persons-before-scenes")
    assert [one.id for one in made] == ["scene-nature-lake", *(f"thing-animals-{name[8:-4]}" for name in _THINGS)]
    assert {row.split for row in after.rows if row.source == "stamps-negative"} == {"train"}
    assert after.rows[-1] == ManifestRow("photo-photos-1.2-meadow", "photos-negative", "val")
    assert photo.image.shape == (427, 640, 3)  # the longer side is shrunk to 640
    assert not photo.mask.any()
    assert all(one.image.shape == (90, 120, 3) and not one.mask.any() for one in made)
    red = [float((one.image[..., 0] > 120).mean()) for one in made]
    assert red[0] == 0
    # The longer side is at least 0.45 of the picture's, 0.75 of either side is seen; at most it is the whole picture.
    assert all(0.45**2 * 0.75**2 * 0.9 < part <= 1 for part in red[1:])
    assert len(set(red[1:])) == len(_THINGS)
    assert not list(tmp_path.rglob("outside*"))


def test_every_third_person_stands_before_a_scene(
    negatives: ModuleType, packages: Path, made_persons: Path, tmp_path: Path
) -> None:
    negatives.main([str(made_persons), str(packages), str(tmp_path / "with")])
    data = ManifestDataset(tmp_path / "with")
    found = [data[index] for index, row in enumerate(data.rows) if row.source == "persons-before-scenes"]
    assert {row.split for row in data.rows if row.source == "persons-before-scenes"} == {"train"}
    learned = ManifestDataset(made_persons, split="train")
    cut_out = [index for index in range(0, len(learned), 3) if learned[index].mask.any()]
    assert [one.id for one in found] == [f"person-{learned.rows[index].id}" for index in cut_out]
    assert len(found) >= 10
    shares = []
    for one, index in zip(found, cut_out, strict=True):
        assert one.image.shape == (90, 120, 3)
        person = one.mask > 127
        assert 0.002 < person.mean() <= 1
        shares.append(person.mean())
        behind = one.image[cv2.dilate(one.mask, np.ones((33, 33))) == 0]  # JPEG's blocks of 16 are left out
        assert np.abs(behind - np.array(_BLUE)).max(initial=0) < 12
        # Its colours are those of the photo that it was cut out of, so the mask is where the person is.
        inside = cv2.erode(one.mask, np.ones((9, 9))) > 127
        if inside.sum() > 50:
            own = learned[index].image[cv2.erode(learned[index].mask, np.ones((9, 9))) > 127]
            assert np.abs(one.image[inside].mean(0) - own.mean(0)).max() < 45
        if (learned[index].mask[-1] > 127).any():
            assert person[-1].any(), one.id
    assert min(shares) < 0.1
    assert max(shares) > 0.4


def test_a_person_whose_mask_is_doubted_or_empty_is_not_cut_out(
    negatives: ModuleType, packages: Path, doubted: Path, tmp_path: Path
) -> None:
    with Image.open(doubted / "masks" / "3.png") as mask:
        Image.new("L", mask.size).save(doubted / "masks" / "3.png")  # the photos 0, 3, 7... are cut out
    negatives.main([str(doubted), str(packages), str(tmp_path / "with")])
    ids = {row.id for row in ManifestDataset(tmp_path / "with").rows if row.source == "persons-before-scenes"}
    assert "person-7" in ids
    assert not {"person-0", "person-3"} & ids


def test_a_source_that_is_not_named_is_not_cut_out(
    negatives: ModuleType, packages: Path, made_persons: Path, tmp_path: Path
) -> None:
    listed = negatives.LIST.read_text()
    negatives.LIST.write_text(listed.replace('["made"]', '["other"]'))
    negatives.main([str(made_persons), str(packages), str(tmp_path / "with")])
    sources = {row.source for row in ManifestDataset(tmp_path / "with").rows}
    assert sources == {"made", "stamps-negative", "photos-negative"}


def test_the_same_packages_give_the_same_files(
    negatives: ModuleType, packages: Path, made_persons: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        negatives.main([str(made_persons), str(packages), str(tmp_path / name)])
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) > 2 * (len(_THINGS) + 1)
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_doubts_about_masks_come_along(negatives: ModuleType, packages: Path, doubted: Path, tmp_path: Path) -> None:
    negatives.main([str(doubted), str(packages), str(tmp_path / "with")])
    found = ManifestDataset(tmp_path / "with")
    assert found[0].ignored is not None
    assert found[0].ignored.all()
    assert found[1].ignored is None


def test_what_cannot_be_used_is_refused_in_one_line(
    negatives: ModuleType, packages: Path, made_persons: Path, tmp_path: Path
) -> None:
    def refused(*words: Path) -> str:
        with pytest.raises(SystemExit) as error:
            negatives.main([str(word) for word in words])
        message = str(error.value)
        assert message.count("\n") == 0
        return message

    out = tmp_path / "out"
    assert "there is no" in refused(tmp_path, packages, out)
    assert "apt-get download scenes" in refused(made_persons, tmp_path, out)
    assert not out.exists()
    negatives.main([str(made_persons), str(packages), str(out)])
    assert "exists already" in refused(made_persons, packages, out)
    assert "persons-before-scenes already" in refused(out, packages, tmp_path / "again")
    with (packages / "things_1_all.deb").open("ab") as file:
        file.write(b" ")
    assert "things_1_all.deb is not the package that list.toml names" in refused(made_persons, packages, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_the_list_takes_no_picture_twice(negatives: ModuleType) -> None:
    """45 scenes, 207 things and 47 photos, as docs/training.md says; the first two are learned from late."""
    scenes, things, *photos = negatives.packages()
    assert len(scenes.files) + len(things.files) == 252
    assert sum(len(package.files) for package in photos) == 47
    recipe = load_recipe("portrait-fast")
    assert recipe.data[negatives.LEARNED]["train"].photos == 252
    assert {name for name, source in recipe.sources.items() if source.late} == {negatives.LEARNED, negatives.BESIDE}
    for package in (scenes, things, *photos):
        assert len(set(package.files)) == len(package.files)
        assert len(package.sha256) == 64
