"""Building images through the engine: only those whose tag it does not have."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from images.setup import bundles, jars, packages, recipes
from images.setup.cache import Cache
from images.setup.commands import Runner
from images.setup.engine import REGISTRY, Engine
from images.setup.pull import pulled
from images.setup.recipes import Recipe
from images.setup.rootfs import RootFileSystem
from images.setup.stages import Report
from images.setup.versions import IMAGES, Versions

LICENSE = "Apache-2.0"
PULL_SECONDS = 300.0
# Perl comes with the package that merges /usr into /, which is done by then; it would be a third of plain Debian.
USED_ONCE = ("usrmerge", "perl", "perl-modules-*")
NOT_IN_CONTEXT = shutil.ignore_patterns("__pycache__", "pom.xml")


@dataclass(frozen=True)
class ImageBuilder:
    """Builds images with one engine, from one cache."""

    engine: Engine
    cache: Cache
    versions: Versions
    report: Report

    def build(self, names: tuple[str, ...] = recipes.DEPLOYED) -> Mapping[str, str]:
        """Make the engine have these images; returns name -> full image name with its tag."""
        wanted = recipes.with_parents(names)
        debian = self._debian()
        tags = recipes.tags(wanted, debian)
        for recipe in wanted:
            image = recipes.image_name(recipe.name, tags[recipe.name])
            if not self.engine.has_image(image):
                parent = recipes.image_name(recipe.parent, tags[recipe.parent]) if recipe.parent else debian
                self._build(recipe, image, parent)
        return {name: recipes.image_name(name, tags[name]) for name in names}

    def _debian(self) -> str:
        """The plain Debian under every image: pulled if Docker reaches a registry, else made from packages if we may.

        podman on Debian as root is not asked to pull: that is a bare server, which has packages.
        """
        published = self.versions.published_debian
        if not packages.can_install() or (self.engine.program == "docker" and self._pulled(published)):
            return published
        rootfs = RootFileSystem(
            "base", self.versions.debian_suite, ["ca-certificates", "usr-is-merged"], purged=USED_ONCE
        )
        image = f"{REGISTRY}/kompensa/debian:{rootfs.key()}"
        if not self.engine.has_image(image):
            packages.ensure(self.report, packages.NODE_BUILD)
            tar = rootfs.tar(self.cache, self.report)
            with self.report.stage("image debian") as stage:
                stage.runner.run([self.engine.program, "import", tar, image], env=self.engine.environment)
        return image

    def _pulled(self, image: str) -> bool:
        return pulled(
            self.engine,
            image,
            self.report,
            stage=f"pull {image}",
            seconds=PULL_SECONDS,
            instead="making it from packages",
        )

    def _build(self, recipe: Recipe, image: str, parent: str) -> None:
        with self.report.stage(f"image {recipe.name}") as stage, self.cache.scratch() as scratch:
            context = scratch / "context"
            shutil.copytree(IMAGES / recipe.folder, context, ignore=NOT_IN_CONTEXT)
            self._fill(context, recipe, stage.runner)
            command = self.engine.build_command(
                image=image,
                context=context,
                arguments={"PARENT": parent, **recipe.arguments},
                labels=labels(recipe, image),
            )
            stage.runner.run(command, env=self.engine.environment)

    def _fill(self, context: Path, recipe: Recipe, runner: Runner) -> None:
        if recipe.jars:
            product = jars.ensure(self.cache, runner).root
            for name, source in recipe.jars.items():
                _link_tree(product / source, context / name)
        if recipe.bundle:
            packages.ensure(self.report, [packages.STRIP])
            _link_tree(bundles.lib(recipe.bundle.requirements(), self.cache, runner), context / "lib")
            _link_tree(bundles.app(recipe.bundle, self.cache, runner), context / "app")


def labels(recipe: Recipe, image: str) -> Mapping[str, str]:
    """OCI's standard labels; the version is the tag, which says exactly what is inside."""
    return {
        "org.opencontainers.image.title": f"kompensa-{recipe.name}",
        "org.opencontainers.image.description": recipe.description,
        "org.opencontainers.image.version": image.rpartition(":")[2],
        "org.opencontainers.image.licenses": LICENSE,
    }


def _link_tree(source: Path, target: Path) -> None:
    """Hard links instead of copies: the cache and the scratch folder share a disk, and neither side is written to."""
    shutil.copytree(source, target, copy_function=os.link)
