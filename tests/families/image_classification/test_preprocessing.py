"""From stored bytes to a model's inputs: depth, channels, normalisation, and augmentation that can be repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torchvision.transforms import functional

from tests.diagnosed import picture, write_table
from tests.user_error import user_error
from tunebook.config.schema import AdaptConfig, Method, TrainConfig
from tunebook.data.draws import Draws
from tunebook.data.load_and_validate import ValidatedData, load_and_validate
from tunebook.data.rejects import RejectLog
from tunebook.families.image_classification.batches import encode_images, pixel_data, training_content
from tunebook.families.image_classification.columns import training_columns
from tunebook.families.image_classification.data.augment import Augmentation
from tunebook.families.image_classification.model.image import Preprocessing
from tunebook.families.image_classification.model.image_source import find_image_model
from tunebook.families.image_classification.options import ImageClassificationConfig, ImageData, ImageModel
from tunebook.families.image_classification.preprocessing import ImagePreparation, stack_images
from tunebook.families.image_classification.recipe import ImageClassification

NORMAL = Preprocessing(16, 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GREY = Preprocessing(16, 1, (0.5,), (0.25,))


def item(pixels: Any, peak: float = 255.0, row: int = 0) -> Any:
    return (pixels[..., None] if pixels.ndim == 2 else pixels), peak, np.int64(0), row


def square(seed: int) -> Any:
    return picture(seed, (16, 16))


def test_eight_bits_are_normalised_as_torchvision_does() -> None:
    colour = np.stack([square(0), square(1), square(2)], axis=-1)
    made = ImagePreparation(NORMAL)(stack_images([item(colour)]))["inputs"]["x"]
    expected = functional.normalize(functional.to_tensor(Image.fromarray(colour)), list(NORMAL.mean), list(NORMAL.std))
    torch.testing.assert_close(made[0], expected)


def test_grey_becomes_three_channels_and_colour_becomes_pillows_grey() -> None:
    light = ImagePreparation(NORMAL).brightness(*(stack_images([item(square(0))])[k] for k in ("pixels", "peak")))
    assert light.shape == (1, 3, 16, 16)
    for channel in light[0]:
        np.testing.assert_allclose(channel.numpy() * 255, square(0), atol=1e-4)
    colour = np.stack([square(0), square(1), square(2)], axis=-1)
    batch = stack_images([item(colour)])
    made = ImagePreparation(GREY).brightness(batch["pixels"], batch["peak"])
    assert made.shape == (1, 1, 16, 16)
    np.testing.assert_allclose(made[0, 0].numpy() * 255, np.asarray(Image.fromarray(colour).convert("L")), atol=0.51)
    inputs = ImagePreparation(GREY)(stack_images([item(square(0))]))["inputs"]["x"]
    np.testing.assert_allclose(inputs[0, 0].numpy(), (square(0) / 255 - 0.5) / 0.25, atol=1e-5)


def test_each_image_of_a_batch_has_its_own_full_brightness() -> None:
    deep = square(0).astype(np.uint16) * 16
    batch = stack_images([item(square(0)), item(deep, float("nan")), item(deep, 65535.0)])
    assert batch["pixels"].dtype == torch.int32
    light = ImagePreparation(GREY, full=4095).brightness(batch["pixels"], batch["peak"])[:, 0].numpy()
    for made, expected in zip(light, (square(0) / 255, deep / 4095, deep / 65535), strict=True):
        np.testing.assert_allclose(made, expected, atol=1e-6)
    bright = stack_images([item(np.full((16, 16), 60000, np.uint16), float("nan"))])
    assert ImagePreparation(GREY, full=4095).brightness(bright["pixels"], bright["peak"]).max() == 1, "never over 1"


# With real rows -------------------------------------------------------------------------------------------------


def options(**given: Any) -> ImageClassificationConfig:
    return ImageClassificationConfig(name="x", size=16, channels=1, **given)


def config_of(folder: Path, table: Path, **more: Any) -> TrainConfig:
    config = TrainConfig(recipe={"name": "x"}, data=ImageData(), model=ImageModel("starter_image"), **more)
    config.data.train, config.data.cache_dir, config.data.batch_size = str(table), str(folder / "cache"), 8
    config.data.near_duplicate, config.trainer.progress = 1.0, False
    return config


def checked(folder: Path, config: TrainConfig, given: ImageClassificationConfig) -> ValidatedData:
    source = find_image_model(config.model, weights=True)
    return load_and_validate(
        config.data,
        training_columns(given, config.data),
        samples=None,
        invalid=None,
        rejects=RejectLog(folder / "rejects.jsonl", 0),
        seed=0,
        content=training_content(given, source, config),
    )


def write_rows(folder: Path, name: str, count: int, scale: int, seed: int) -> Path:
    """16-bit pictures whose largest value is about 255 times the scale."""
    (folder / name).mkdir()
    rows = []
    for i in range(count):
        pixels = square(seed + i).astype(np.uint16)
        pixels[0, 0] = 255
        Image.fromarray(pixels * np.uint16(scale)).save(folder / name / f"{i}.png")
        rows.append({"path": f"{name}/{i}.png", "label": "ab"[i % 2]})
    return write_table(folder / f"{name}.csv", rows)


def encoded(folder: Path, config: TrainConfig, given: ImageClassificationConfig) -> Any:
    rows, source = checked(folder, config, given), find_image_model(config.model, True)
    return encode_images(ImageClassification(given), rows, source, config)


@pytest.mark.parametrize(("scale", "full"), [(1, 255), (4, 1023), (16, 4095), (17, 16383), (257, 65535)])
def test_the_training_images_tell_how_many_bits_are_used(tmp_path: Path, scale: int, full: int) -> None:
    config = config_of(tmp_path, write_rows(tmp_path, "p", 20, scale, 0))
    made = encoded(tmp_path, config, options())
    assert made.tokenizer.full == full
    assert str(255 * scale) in made.facts["16-bit images"]
    assert encoded(tmp_path, config, options(bits=16)).tokenizer.full == 65535
    with user_error("config.out-of-range", where="recipe.bits", match="from 8 to 16"):
        encoded(tmp_path, config, options(bits=7))


def test_features_of_the_same_rows_seen_at_another_brightness_are_others(tmp_path: Path) -> None:
    """Or validation rows would be read back as they looked beside other training rows."""
    identities = []
    for name, scale in (("ten", 4), ("twelve", 16)):
        config = config_of(tmp_path, write_rows(tmp_path, name, 20, scale, 0))
        held = tmp_path / "held.csv"
        config.data.validation = str(held if held.is_file() else write_rows(tmp_path, "held", 8, 4, 100))
        identities.append(encoded(tmp_path, config, options()).identity["validation"])
    assert identities[0] != identities[1]
    config = config_of(tmp_path, tmp_path / "twelve.csv")
    config.data.validation = str(tmp_path / "held.csv")
    assert encoded(tmp_path, config, options()).identity["validation"] == identities[1]


class Darkened(ImageClassification[ImageClassificationConfig]):
    """Training images without their brighter half."""

    def augment(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        return images.clamp(max=0.5) * draws.uniform()[..., None, None].ceil()


def test_a_recipes_own_augmentation_comes_after_ours_and_in_training_alone(tmp_path: Path) -> None:
    given = options(rotate=0, shift=0, zoom=0, brightness=0, contrast=0)
    config = config_of(tmp_path, write_rows(tmp_path, "p", 20, 1, 0))
    rows, source = checked(tmp_path, config, given), find_image_model(config.model, True)
    made = encode_images(Darkened(given), rows, source, config)
    assert made.facts["augmentation"].endswith("contrast 0, recipe")
    data = pixel_data(made, config)
    batch = next(iter(data.loader("train", shuffle=True)))
    assert data.finish is not None
    plain, changed = (data.finish(batch, training)["inputs"]["x"] for training in (False, True))
    middle = made.tokenizer.normalised(torch.full((1, 1, 1, 1), 0.5)).item()
    torch.testing.assert_close(changed, plain.clamp(max=middle))
    assert plain.max() > middle
    off = encode_images(Darkened(options(augment=False)), rows, source, config)
    assert off.tokenizer.own is None and off.facts["augmentation"] == "none"


class Watcher(LightningModule):
    """Keeps what a model would see, by stage, epoch and row."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: dict[tuple[str, int, int], torch.Tensor] = {}

    def _see(self, stage: str, batch: Any) -> torch.Tensor:
        for row, x in zip(batch["row"].tolist(), batch["inputs"]["x"], strict=True):
            self.seen[stage, self.current_epoch, row] = x.clone()
        return self.weight.sum()

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        return self._see("train", batch)

    def validation_step(self, batch: Any, index: int) -> None:
        self._see("validation", batch)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def watched(folder: Path, config: TrainConfig, given: ImageClassificationConfig) -> tuple[Any, Any]:
    made, module = encoded(folder, config, given), Watcher()
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    trainer = Trainer(max_epochs=2, accelerator="cpu", enable_model_summary=False, **quiet)
    trainer.fit(module, datamodule=pixel_data(made, config))
    return module.seen, made


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers", "ignore:The number of training")
def test_what_a_row_becomes_follows_from_seed_epoch_and_row_alone(tmp_path: Path) -> None:
    table = write_rows(tmp_path, "p", 24, 16, 0)
    first, made = watched(tmp_path, config_of(tmp_path, table), options())
    other_batches = config_of(tmp_path, table)
    other_batches.data.batch_size, other_batches.data.num_workers = 5, 1
    second, _ = watched(tmp_path, other_batches, options())
    assert first.keys() == second.keys()
    for key, x in first.items():
        torch.testing.assert_close(x, second[key], rtol=0, atol=1e-5)
    rows = {row for stage, _, row in first if stage == "train"}
    assert len(rows) == len(made.rows["train"])
    assert all(not torch.allclose(first["train", 0, row], first["train", 1, row], atol=1e-2) for row in rows)
    seeded, _ = watched(tmp_path, config_of(tmp_path, table, seed=1), options())
    common = [k for k in first if k[0] == "train" and k in seeded]
    assert not any(torch.allclose(first[k], seeded[k], atol=1e-2) for k in common)


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers", "ignore:The number of training")
def test_validation_images_are_never_changed_nor_any_where_it_is_off(tmp_path: Path) -> None:
    config = config_of(tmp_path, write_rows(tmp_path, "p", 24, 16, 0))
    for augment in (True, False):
        seen, made = watched(tmp_path, config, options(augment=augment))
        plain = ImagePreparation(made.tokenizer.preprocessing, made.tokenizer.full)
        stages = {stage for stage, _, _ in seen}
        assert stages == {"train", "validation"}
        for (stage, _, row), x in seen.items():
            expected = plain(stack_images([made.splits[stage].items[row]]))["inputs"]["x"][0]
            same = torch.allclose(x, expected, rtol=0, atol=1e-6)
            assert same == (stage == "validation" or not augment), (stage, row)
    assert made.facts["augmentation"] == "none"


def test_stored_features_are_of_images_as_they_are(tmp_path: Path) -> None:
    config = config_of(tmp_path, write_rows(tmp_path, "p", 24, 16, 0), adapt=AdaptConfig(method=Method.head))
    made = encoded(tmp_path, config, options())
    assert made.tokenizer.augmentation is None
    config.adapt.method = Method.full
    assert encoded(tmp_path, config, options()).tokenizer.augmentation == Augmentation(
        flip="none", rotate=10, shift=0.05, zoom=0.1, brightness=0.1, contrast=0.1
    )


def test_targets_follow_the_rows(tmp_path: Path) -> None:
    config = config_of(tmp_path, write_rows(tmp_path, "p", 24, 16, 0))
    made = encoded(tmp_path, config, options())
    for split in ("train", "validation", "test"):
        items, rows = made.splits[split].items, made.rows[split]
        assert ["ab"[items[i][2]] for i in range(len(rows))] == rows.texts("label")
        for i, path in enumerate(rows.texts("image")):
            np.testing.assert_array_equal(items[i][0][..., 0], np.asarray(Image.open(path)))
            assert items[i][3] == i
