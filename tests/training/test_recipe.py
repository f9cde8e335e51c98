"""What a recipe file may say, and what the shipped ones do say."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.data.transforms import Augmentation
from edge_deeplab.errors import SpecError
from edge_deeplab.spec import NetworkSpec
from edge_deeplab.training.config import OptimizerKind, TrainingConfig
from edge_deeplab.training.quantization_aware import FINE_TUNING
from edge_deeplab.training.recipe import load_recipe, shipped_recipes

ROOT = Path(__file__).resolve().parents[2]
_FIRST = 'name = "mine"\nsummary = "a test"\n'
_SMALLEST = _FIRST + "[sources.made]\n"
# They came after the shipped recipes were run: written out, they would change those recipes' hashes.
_LATER_SETTINGS = {
    *("thaw_epochs", "start_share"),
    *("padding", "head_rectifier", "multi_grid", "aspp_fusion", "aspp_hidden", "aspp_refine", "input_scales"),
    "last_bottleneck",
}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(_SMALLEST)
    return path


def test_what_a_file_does_not_say_is_as_everywhere_else(written: Path) -> None:
    recipe = load_recipe(written)
    assert (recipe.name, recipe.init, recipe.repeats, dict(recipe.data)) == ("mine", "none", {"made": 1}, {})
    assert recipe.training == TrainingConfig()
    assert recipe.quantization_aware.training == FINE_TUNING


def test_tables_reach_every_setting(written: Path) -> None:
    written.write_text(
        _SMALLEST
        + """repeat = 3
        [model]
        height = 96
        [model.network]
        atrous_rates = [2]
        [training]
        optimizer = "sgd"
        clip = 2
        seed = 7
        [training.augmentation]
        scale = [1, 2.5]
        [quantization_aware]
        distillation = 0.25
        training.epochs = 4
        """
    )
    recipe = load_recipe(written)
    assert recipe.repeats == {"made": 3}
    assert (recipe.model.height, recipe.model.width, recipe.model.network.atrous_rates) == (96, 256, (2,))
    assert recipe.training.optimizer is OptimizerKind.SGD
    assert isinstance(recipe.training.clip, float)
    assert recipe.training.augmentation == Augmentation(scale=(1.0, 2.5))
    fine_tuning = replace(FINE_TUNING, epochs=4, seed=7, augmentation=recipe.training.augmentation)
    assert recipe.quantization_aware.training == fine_tuning
    assert recipe.quantization_aware.distillation == 0.25


def test_a_network_settles_as_it_was_trained_but_for_what_is_said(written: Path) -> None:
    assert load_recipe(written).settling is None
    written.write_text(
        _SMALLEST
        + "[training]\nseed = 7\naugmentation.flip = 0.25\n[settling]\nepochs = 2\naugmentation.scale = [0.9, 1]\n"
    )
    recipe = load_recipe(written)
    assert recipe.settling is not None
    assert recipe.training.augmentation == Augmentation(flip=0.25)
    assert recipe.settling == replace(recipe.training, epochs=2, augmentation=Augmentation(flip=0.25, scale=(0.9, 1.0)))
    assert recipe.quantization_aware.training.augmentation == recipe.settling.augmentation
    assert recipe.quantization_aware.training.seed == 7
    fewer = recipe.with_workers(0)
    assert fewer.settling == replace(recipe.settling, workers=0)


def test_a_network_may_be_deployed_on_other_pixels(written: Path) -> None:
    base = _SMALLEST + "[model]\nheight = 96\nwidth = 64\nnetwork.aspp_channels = 8\n"
    written.write_text(base)
    recipe = load_recipe(written)
    assert recipe.deployed_model == recipe.model
    written.write_text(base + "[deployed]\nheight = 128\n")
    larger = load_recipe(written)
    assert larger.model == recipe.model
    assert larger.deployed_model == replace(recipe.model, height=128)
    assert larger.sha256 != recipe.sha256


def test_a_settled_network_may_be_finished(written: Path) -> None:
    settling = _SMALLEST + "[training]\nseed = 7\n[settling]\nepochs = 2\naugmentation.flip = 0.25\n"
    written.write_text(settling)
    recipe = load_recipe(written)
    assert recipe.finishing is None
    assert recipe.float_runs == (recipe.training, recipe.settling)
    written.write_text(settling + "[finishing]\nlearning_rate = 1e-4\n")
    recipe = load_recipe(written)
    assert recipe.settling is not None
    assert recipe.finishing == replace(recipe.settling, learning_rate=1e-4)
    assert recipe.float_runs == (recipe.training, recipe.settling, recipe.finishing)
    assert recipe.quantization_aware.training.augmentation == Augmentation(flip=0.25)
    assert recipe.with_workers(0).finishing == replace(recipe.finishing, workers=0)


def test_a_source_may_come_late(written: Path) -> None:
    late = "repeat = 2\n[sources.late]\nrepeat = 3\nlate = true\n"
    written.write_text(_SMALLEST + late + "[settling]\nepochs = 2\n")
    recipe = load_recipe(written)
    assert recipe.early_repeats == {"made": 2}
    assert recipe.repeats == {"made": 2, "late": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_SMALLEST + "late = true\n", r"mine\.toml: sources\.made is late, and the float network has one run only"),
        (_SMALLEST + "[finishing]\nepochs = 2\n", r"mine\.toml: finishing goes on from a settling, and there is none"),
        (_SMALLEST + "[settling]\n[finishing]\nepoch = 2\n", r"mine\.toml: finishing has the unknown key 'epoch'"),
        (_SMALLEST + "[settling]\n[finishing]\ndistillation = 0.5\n", r"finishing\.distillation is 0\.5, and there is"),
        (_SMALLEST + "[deployed]\nheight = 0\n", r"mine\.toml: deployed: .*0"),
        (_SMALLEST + "[deployed]\nheight = '9'\n", r"mine\.toml: deployed\.height is '9': it must be of"),
        (_SMALLEST + "[deployed]\ndepth = 9\n", r"mine\.toml: deployed has the key 'depth': a network is dep"),
        (_SMALLEST + "[deployed.network]\nskip_channels = 9\n", r"deployed has the key 'network': a network is dep"),
        (_SMALLEST.replace("[sources", "deployed = 3\n[sources"), r"mine\.toml\.deployed is 3: it must be a table"),
        (_SMALLEST + "[trainig]\n", r"mine\.toml has the unknown key 'trainig': it may have base, name, "),
        (_SMALLEST + "[training]\nepoch = 3\n", r"mine\.toml: training has the unknown key 'epoch': .* epochs, "),
        (_SMALLEST + "[training.augmentation]\nzoom = 3\n", r"training\.augmentation has the unknown key 'zoom'"),
        (_SMALLEST + "rate = 3\n", r"sources\.made has the unknown key 'rate': it may have repeat, terms, open, why"),
        (_SMALLEST + "[training]\nepochs = 3.5\n", r"training\.epochs is 3\.5: it must be of the type int"),
        (_SMALLEST + "[training]\nepochs = true\n", r"training\.epochs is True: it must be of the type int"),
        (_SMALLEST + '[training]\nclip = "5"\n', r"training\.clip is '5': it must be of the type float"),
        (_SMALLEST + '[training]\nschedule = "linear"\n', r"training\.schedule is 'linear': choose from cosine, poly"),
        (_SMALLEST + "[training.augmentation]\nscale = [1]\n", r"augmentation\.scale is \[1\]: .* a list of 2"),
        (_SMALLEST + "[training.augmentation]\nscale = 1\n", r"augmentation\.scale is 1: it must be a list"),
        (_SMALLEST + '[model.network]\natrous_rates = ["6"]\n', r"atrous_rates is '6': it must be of the type int"),
        (_SMALLEST + "[training]\naugmentation = 1\n", r"training\.augmentation is 1: it must be a table"),
        (_SMALLEST + "[training]\ndistillation = 0.5\n", r"distillation is 0\.5, and the teacher '': give both"),
        (_SMALLEST + "[settling]\ndistillation = 0.5\n", r"settling\.distillation is 0\.5, and there is no teacher"),
        (_SMALLEST + "[settling]\nepoch = 3\n", r"mine\.toml: settling has the unknown key 'epoch'"),
        (_SMALLEST + "[settling.augmentation]\nturn = 2\n", r"mine\.toml: settling.* turn is 2"),
        (_SMALLEST.replace("[sources", "settling = 3\n[sources"), r"mine\.toml\.settling is 3: it must be a table"),
        (_SMALLEST + "[training]\nema_decay = 1.5\n", r"mine\.toml: training: ema_decay is 1\.5"),
        (_SMALLEST + "[training]\nstart_share = 0.5\n", r"start_share is 0\.5, .*: move it to settling or finishing"),
        (_SMALLEST + "[settling]\nstart_share = 1.0\n", r"mine\.toml: settling: start_share is 1\.0: .* in \[0, 1\)"),
        (
            _SMALLEST + "[quantization_aware.training]\nstart_share = 0.5\n",
            r"quantization_aware: .* leave out start_share",
        ),
        (_SMALLEST + "[model.network]\noutput_stride = 7\n", r"model\.network: output stride 7 does not exist"),
        (_SMALLEST + "repeat = -1\n", r"sources\.made: repeat is -1"),
        (_SMALLEST + "[data.made.train]\nphoto = 3\n", r"data\.made\.train has the unknown key 'photo'"),
        ('name = "x"\n[sources.made]\n', r"lacks the key 'summary'"),
        ('summary = "x"\nname = 1\n[sources.made]\n', r"name is 1: it must be a text"),
        (_FIRST, r"lacks the key 'sources'"),
        ("name = \n", r"mine\.toml cannot be read: "),
        (_SMALLEST.replace("name", 'base = "nobody"\nname', 1), r"no recipe 'nobody': choose from portrait, "),
        (_SMALLEST.replace("name", 'base = "none.toml"\nname', 1), r"there is no recipe .*none\.toml"),
        (_SMALLEST.replace("name", 'base = "mine.toml"\nname', 1), r"mine\.toml is a base of itself"),
        (_SMALLEST.replace("name", "base = 3\nname", 1), r"base is 3"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(written: Path, text: str, message: str) -> None:
    written.write_text(text)
    with pytest.raises(SpecError, match=message):
        load_recipe(written)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no recipe 'portait': choose from portrait, portrait-fast"):
        load_recipe("portait")
    with pytest.raises(SpecError, match=r"there is no recipe .*mine\.toml"):
        load_recipe(tmp_path / "mine.toml")


def test_a_base_is_changed_key_by_key(written: Path) -> None:
    written.write_text('base = "portrait"\nname = "mine"\n[training]\nepochs = 2\n[sources.ccp]\nrepeat = 0\n')
    mine, base = load_recipe(written), load_recipe("portrait")
    assert mine.training == replace(base.training, epochs=2)
    assert mine.repeats == {name: count for name, count in base.repeats.items() if name != "ccp"}
    assert mine.sources["ccp"].terms == base.sources["ccp"].terms
    assert mine.sha256 != base.sha256


def test_the_hash_is_of_the_values(written: Path) -> None:
    before = load_recipe(written).sha256
    written.write_text("# a comment\n" + _SMALLEST.replace("\n", "\n\n"))
    assert load_recipe(written).sha256 == before
    written.write_text(_SMALLEST + "repeat = 2\n")
    assert load_recipe(written).sha256 != before


@pytest.mark.parametrize("name", shipped_recipes())
def test_what_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    recipe.write(tmp_path / "recipe.json")
    again = load_recipe(tmp_path / "recipe.json")
    assert again == recipe
    assert again.sha256 == recipe.sha256


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_leave_nothing_open(name: str) -> None:
    """Terms for each source, a hash for each split and for the first weights, and no setting left to a default."""
    recipe = load_recipe(name)
    assert recipe.name == name
    assert len(recipe.init_sha256) == 64
    assert recipe.init_terms
    assert set(recipe.data) == set(recipe.sources)
    for source in recipe.sources.values():
        assert source.terms
        assert source.why
    assert all(digest.photos and len(digest.sha256) == 64 for d in recipe.data.values() for digest in d.values())
    assert all(set(splits) <= {"train", "val"} for splits in recipe.data.values())
    assert set(recipe.table["training"]) == set(asdict(TrainingConfig())) - _LATER_SETTINGS
    assert set(recipe.table["training"]["augmentation"]) == set(asdict(Augmentation()))
    settings, known = set(recipe.table["model"]["network"]), set(asdict(NetworkSpec()))
    assert known - _LATER_SETTINGS <= settings <= known
    missing = {"seed", "augmentation", "distillation", "teacher"}  # as in the float training, or beside the table
    assert (
        set(recipe.table["quantization_aware"]["training"]) == set(asdict(TrainingConfig())) - _LATER_SETTINGS - missing
    )


def test_the_shipped_recipes() -> None:
    assert shipped_recipes() == ("portrait", "portrait-fast", "portrait-fast-first", "portrait-first", "portrait-open")
    portrait, fast, opened = (load_recipe(name) for name in ("portrait", "portrait-fast", "portrait-open"))
    assert fast.model.network == replace(portrait.model.network, last_bottleneck=False)
    assert (fast.model.height, fast.model.width) < (portrait.model.height, portrait.model.width)
    late = {name for name, source in fast.sources.items() if source.late}
    assert late == {"stamps-negative", "persons-before-scenes"}
    assert {name: source for name, source in fast.sources.items() if name not in late} == portrait.sources
    assert fast.early_repeats == portrait.repeats
    used = [source for source in opened.sources.values() if source.repeat]
    assert used
    assert all(source.open for source in used)
    assert not all(source.open for name, source in portrait.sources.items() if name in portrait.repeats)


@pytest.mark.parametrize(("name", "last_bottleneck"), [("portrait", True), ("portrait-fast", False)])
def test_what_a_shipped_recipe_goes_on_from_is_in_the_repository(name: str, last_bottleneck: bool) -> None:
    recipe, before = load_recipe(name), load_recipe("portrait-first")
    start = load_checkpoint(ROOT / "benchmarks" / recipe.init)
    assert start.sha256 == recipe.init_sha256
    assert before.model == start.spec
    assert recipe.model.network == replace(before.model.network, last_bottleneck=last_bottleneck)
