"""Names: short enough for the API server whatever the release is called, and no two the same."""

from collections.abc import Iterator

import pytest

from charts.tests.rendering import INSTALLED, VARIANTS, Helm, Object, RefusedError, Rendering

LONGEST = "a-release-that-takes-all-of-fifty-three-characters-xx"
LONG_LOGIN = "a.secret-with-dots-and-more-characters-than-the-name-of-a-volume-may-have"


def names_of_63(rendering: Rendering) -> Iterator[str]:
    """The names that the API server bounds: labels, names that end up in one, volumes and Services."""
    for item in rendering.objects:
        metadata = item["metadata"]
        if item["kind"] in ("Service", "Job"):
            yield metadata["name"]
        if item["kind"] == "StatefulSet":
            yield f"{metadata['name']}-5c689d88bb"  # the label controller-revision-hash of its pods
        yield from metadata["labels"].values()
    for pod in rendering.pods():
        yield from pod.labels.values()
        yield from (volume["name"] for volume in pod.spec.get("volumes", []))


@pytest.mark.parametrize("chart", INSTALLED)
@pytest.mark.parametrize("release", [LONGEST, f"{LONGEST[:40]}-kompensa", "a.release"])
def test_a_release_may_have_any_name(helm: Helm, chart: str, release: str) -> None:
    for values in ({}, VARIANTS[chart]):
        rendering = helm.render(chart, values, name=release)
        too_long = [name for name in names_of_63(rendering) if len(name) > 63]
        assert not too_long
        assert not [item for item in rendering.of("Service") if "." in item["metadata"]["name"]]
        places = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in rendering.objects]
        assert len(places) == len(set(places))


@pytest.mark.parametrize("chart", ["kompensa", "backbone", "postgres"])
def test_the_thousandth_revision_has_a_name_too(helm: Helm, chart: str) -> None:
    longest = "x" * 40
    own = {"fullnameOverride": longest}
    rendering = helm.render(chart, {**own, "postgres": own} if chart == "kompensa" else own)
    jobs = [name.replace("-provision-1-", "-provision-9999-") for name in names_of_63(rendering)]
    assert max(map(len, jobs)) <= 63


@pytest.mark.parametrize(
    ("chart", "name"),
    [
        *(("postgres", name) for name in ("my.release", "1st", "-x", "x-", "x" * 41)),
        ("kompensa", "x" * 41),
        ("backbone", "x" * 41),
    ],
)
def test_a_name_that_no_service_could_have_is_refused(helm: Helm, chart: str, name: str) -> None:
    with pytest.raises(RefusedError, match="/fullnameOverride"):
        helm.render(chart, {"fullnameOverride": name})


def test_a_login_may_have_any_name_that_a_secret_may_have(helm: Helm) -> None:
    entry: Object = {"database": "crm", "secret": LONG_LOGIN, "existing": True}
    for pod in helm.render("postgres", {"databases": [entry]}).pods():
        names = [volume["name"] for volume in pod.spec["volumes"]]
        assert not [name for name in names if len(name) > 63 or "." in name], pod.name
