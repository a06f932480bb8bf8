"""Two real models on a data set that scikit-learn ships: trained, measured, saved. Knows no registry."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 20261121
DATASET = "breast-cancer-wisconsin"
DIRECTIONS = {"auc": "maximise", "accuracy": "maximise", "log_loss": "minimise"}
PACKAGES = ("scikit-learn", "numpy", "scipy", "joblib")


@dataclass(frozen=True)
class Split:
    """Rows of the data set for one purpose."""

    name: str
    features: np.ndarray
    labels: np.ndarray

    @property
    def digest(self) -> str:
        """`sha256:…` over features (float64) and labels (int64), little endian, row by row."""
        digest = hashlib.sha256(np.ascontiguousarray(self.features, "<f8").tobytes())
        digest.update(np.ascontiguousarray(self.labels, "<i8").tobytes())
        return f"sha256:{digest.hexdigest()}"


@dataclass(frozen=True)
class Data:
    """The data set, split once and for all by the seed."""

    train: Split
    validation: Split
    test: Split

    @property
    def version(self) -> str:
        """The data set has no version of its own: it is that of the package it comes in."""
        return f"scikit-learn-{sklearn.__version__}"


@dataclass(frozen=True)
class Trained:
    """A model on disk, with all there is to say of it."""

    algorithm: str
    directory: Path
    parameters: dict[str, Any]
    metrics: dict[tuple[str, str], float]
    """(split, metric) to value."""
    run_id: str
    began: datetime
    ended: datetime
    card: str
    signature: dict[str, Any]

    def score(self, metric: str, split: str = "validation") -> float:
        """One of the metrics."""
        return self.metrics[split, metric]


def load_data() -> Data:
    """569 rows: 341 to train, 114 to choose by, 114 nobody looks at before the end."""
    features, labels = load_breast_cancer(return_X_y=True)
    rest_x, test_x, rest_y, test_y = train_test_split(
        features, labels, test_size=0.2, random_state=SEED, stratify=labels
    )
    train_x, validation_x, train_y, validation_y = train_test_split(
        rest_x, rest_y, test_size=0.25, random_state=SEED, stratify=rest_y
    )
    return Data(
        Split("train", train_x, train_y), Split("validation", validation_x, validation_y), Split("test", test_x, test_y)
    )


def train_both(data: Data, work: Path) -> list[Trained]:
    """A logistic regression and a gradient boosting, each in a directory below `work`."""
    logistic = {"C": 1.0, "max_iter": 1000}
    boosting = {"n_estimators": 60, "max_depth": 2, "learning_rate": 0.1}
    return [
        _train(
            "logistic-regression",
            make_pipeline(StandardScaler(), LogisticRegression(**logistic, random_state=SEED)),
            {**logistic, "scaler": "standard", "random_state": SEED},
            data,
            work,
        ),
        _train(
            "gradient-boosting",
            GradientBoostingClassifier(**boosting, random_state=SEED),
            {**boosting, "random_state": SEED},
            data,
            work,
        ),
    ]


def _train(algorithm: str, estimator: Any, parameters: dict[str, Any], data: Data, work: Path) -> Trained:  # noqa: ANN401 -- scikit-learn has no types
    began = datetime.now(UTC)
    estimator.fit(data.train.features, data.train.labels)
    ended = datetime.now(UTC)
    metrics = {
        (split.name, name): value
        for split in (data.validation, data.test)
        for name, value in measure(estimator, split).items()
    }
    directory = work / algorithm
    directory.mkdir()
    signature = _signature(data)
    card = _card(algorithm, parameters, metrics, data)
    joblib.dump(estimator, directory / "model.joblib")
    (directory / "MODEL_CARD.md").write_text(card)
    (directory / "signature.json").write_text(json.dumps(signature, indent=2) + "\n")
    return Trained(algorithm, directory, parameters, metrics, uuid.uuid4().hex, began, ended, card, signature)


def measure(estimator: Any, split: Split) -> dict[str, float]:  # noqa: ANN401 -- scikit-learn has no types
    """The metrics of `DIRECTIONS` on the rows of `split`."""
    probability = estimator.predict_proba(split.features)[:, 1]
    return {
        "auc": float(roc_auc_score(split.labels, probability)),
        "accuracy": float(accuracy_score(split.labels, estimator.predict(split.features))),
        "log_loss": float(log_loss(split.labels, probability)),
    }


def installed() -> list[str]:
    """The packages a model needs, at the versions it was made with, as requirement lines."""
    return [f"{name}=={version(name)}" for name in PACKAGES]


def _signature(data: Data) -> dict[str, Any]:
    columns = int(data.train.features.shape[1])
    return {
        "inputs": [{"name": "features", "data_type": "float64", "shape": [-1, columns]}],
        "outputs": [
            {"name": "label", "data_type": "int64", "shape": [-1]},
            {"name": "probability", "data_type": "float64", "shape": [-1, 2]},
        ],
    }


def _card(algorithm: str, parameters: dict[str, Any], metrics: dict[tuple[str, str], float], data: Data) -> str:
    rows = "".join(f"| {split} | {name} | {value:.4f} |\n" for (split, name), value in metrics.items())
    return (
        f"# Tumour classifier, {algorithm}\n\n"
        "Tells malignant (0) from benign (1) by 30 measurements of cell nuclei. A demonstration, not a medical device."
        f"\n\nTrained on {len(data.train.labels)} rows of {DATASET} ({data.version}) with {json.dumps(parameters)}.\n\n"
        f"| rows | metric | value |\n|---|---|---|\n{rows}"
    )
