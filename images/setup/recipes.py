"""The catalogue: every container image except the node's, with its parent and the content of its build context.

An image's tag is the key over all its inputs, its parent's tag included. So the same tag means the same image, and a
change rebuilds only the images above it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from images.setup import bundles, jars
from images.setup.bundles import Bundle
from images.setup.digest import key_of
from images.setup.engine import REGISTRY
from images.setup.shop import SERVICES
from images.setup.versions import IMAGES

FORMAT = "context 1"


@dataclass(frozen=True)
class Recipe:
    """One image.

    Attributes
    ----------
    folder
        Folder in images/ whose files, the Containerfile among them, are the build context.
    parent
        Image it is built FROM; None for those directly above plain Debian.
    bundle
        Own distributions and their dependencies, as app/ and lib/ in the context.
    jars
        Folders of the Maven product that the context gets: name in the context -> name in the product.
    """

    name: str
    folder: str
    description: str
    parent: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    bundle: Bundle | None = None
    jars: Mapping[str, str] = field(default_factory=dict)


_KIT = ("kompensa-common", "kompensa-consumer", "kompensa-participant")
# Of the services that need more of our own distributions than the participant kit.
_LIBRARIES: Mapping[str, tuple[str, ...]] = {"orders": ("kompensa-eventstore",)}


def _service(name: str) -> Recipe:
    return Recipe(
        name=name,
        folder="service",
        description=f"The {name} service of the reference shop",
        parent="python",
        arguments={"SERVICE": name},
        bundle=Bundle(name, (*_KIT, *_LIBRARIES.get(name, ()), f"shop-{name}")),
    )


_ALL = (
    Recipe("python", "python", "Debian's Python and the user everything runs as"),
    Recipe("jre", "jre", "Debian's Java runtime and the user everything runs as"),
    Recipe("postgres", "postgres", "PostgreSQL on a mounted volume, without root", parent="python"),
    Recipe("kafka", "kafka", "A Kafka broker", parent="jre", jars={"lib": "kafka"}),
    Recipe(
        "connect",
        "connect",
        "A Kafka Connect worker with the Debezium connector for PostgreSQL",
        parent="jre",
        jars={"lib": "connect", "plugins": "plugins"},
    ),
    Recipe(
        "kompensa",
        "kompensa",
        "Kompensa: operator, engine, replica worker and command line",
        parent="python",
        bundle=Bundle("kompensa", ("kompensa-common", "kompensa-consumer", "kompensa-cdc", "kompensa")),
    ),
    *(_service(name) for name in SERVICES),
)
RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _ALL}
# Images that run in pods; python and jre are only their parents.
DEPLOYED = tuple(name for name in RECIPES if name not in {"python", "jre"})


def with_parents(names: tuple[str, ...]) -> list[Recipe]:
    """These images and their parents, parents first."""
    ordered: dict[str, Recipe] = {}
    for name in names:
        recipe = RECIPES[name]
        chain = [RECIPES[recipe.parent]] if recipe.parent else []
        for entry in [*chain, recipe]:
            ordered.setdefault(entry.name, entry)
    return list(ordered.values())


def tags(recipes: list[Recipe], debian: str) -> Mapping[str, str]:
    """The tag of each image; `debian` identifies the image under the lowest of them."""
    found: dict[str, str] = {}
    for recipe in recipes:
        below = found[recipe.parent] if recipe.parent else debian
        found[recipe.name] = tag_of(recipe, below)
    return found


def tag_of(recipe: Recipe, parent: str) -> str:
    arguments = [f"{name}={value}" for name, value in sorted(recipe.arguments.items())]
    contents = [jars.key()] if recipe.jars else []
    if recipe.bundle:
        contents += [bundles.lib_key(recipe.bundle.requirements()), recipe.bundle.app_key()]
    return key_of(FORMAT, parent, IMAGES / recipe.folder, *arguments, *contents)


def image_name(name: str, tag: str) -> str:
    return f"{REGISTRY}/kompensa/{name}:{tag}"
