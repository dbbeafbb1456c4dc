"""Findings in medical images: one diagnosis, or several findings at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tunebook import ImageClassification, ImageClassificationConfig, UserError

if TYPE_CHECKING:
    from tunebook.config.schema import DataConfig
    from tunebook.data.columns import Column

# The sample pictures are drawn when first needed. Another number, other pictures.
_SAMPLES = "chest-1"
_PATIENTS = 300


class MedicalDiagnosis(ImageClassification[ImageClassificationConfig]):
    """What an image shows, at sensitivities and specificities that one can stand behind."""

    @property
    def cautions(self) -> Sequence[str]:
        """What everyone who reads the scores must know first."""
        return (
            "This is not a medical device. Do not diagnose, treat or discharge anyone on the basis of its output.",
            "Intended use: research, and teaching how such models are made and measured.",
            "Not tested: images of other scanners, sites, populations, ages or years than those of the test rows; "
            "images that show something other than the training images; use alongside a clinician; drift over time.",
        )

    @property
    def own_points(self) -> Mapping[str, str]:
        """One to miss few, one to alarm few."""
        return {"screening": "sensitivity 0.95", "confirming": "specificity 0.95"}

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """As every image classifier; the sample rows say whose images they are."""
        if data.train is None and data.group is None:
            data = replace(data, group="patient")
        return super().columns(data)

    def samples(self, cache_dir: Path) -> Mapping[str, Path]:
        """Synthetic chest X-rays, drawn once; no patient was ever in front of that machine."""
        from .synthetic import write

        folder = cache_dir / "samples" / self.options.name / _SAMPLES
        if not (folder / "test.csv").is_file():
            try:
                write(folder, "xray", _PATIENTS, size=64, difficulty=0.3, prevalence=0.5)
            except UserError:
                if not (folder / "test.csv").is_file():  # else another process drew the same ones first
                    raise
        return {split: folder / f"{split}.csv" for split in ("train", "validation", "test")}
