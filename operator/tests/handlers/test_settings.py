import pytest

from kompensa.cluster.worker_site import PullSecret, Toleration, WorkerPod
from kompensa.handlers.settings import InvalidSettingError, OperatorSettings

LEAST = {"KOMPENSA_API_URL": "http://kompensa-api:8080"}


def test_the_least_that_has_to_be_set() -> None:
    settings = OperatorSettings.from_environment(LEAST)
    assert settings.engine_url == "http://kompensa-api:8080"
    assert settings.namespaces == ()
    assert settings.capture_credentials == "Directory"
    assert settings.identity


def test_namespaces_are_a_list() -> None:
    settings = OperatorSettings.from_environment(LEAST | {"KOMPENSA_WATCH_NAMESPACES": "shop, staging,"})
    assert settings.namespaces == ("shop", "staging")


def test_an_empty_variable_is_as_good_as_none() -> None:
    settings = OperatorSettings.from_environment(LEAST | {"KOMPENSA_API_TOKEN": "", "KOMPENSA_CAPTURE_SECRET": ""})
    assert settings.engine_token is None
    assert settings.capture_secret == "kompensa-capture"


def test_the_pods_of_workers_are_described_in_json() -> None:
    text = '{"imagePullSecrets": [{"name": "registry"}], "tolerations": [{"operator": "Exists"}]}'
    settings = OperatorSettings.from_environment(LEAST | {"KOMPENSA_REPLICA_POD": text})
    assert settings.replica_pod == WorkerPod(
        image_pull_secrets=[PullSecret(name="registry")], tolerations=[Toleration(operator="Exists")]
    )
    assert OperatorSettings.from_environment(LEAST).replica_pod == WorkerPod()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KOMPENSA_API_URL", ""),
        ("KOMPENSA_CAPTURE_CREDENTIALS", "inline"),
        ("KOMPENSA_PROBE_PORT", "many"),
        ("LOG_LEVEL", "loud"),
        ("LOG_LEVEL", "VERBOSE"),
        ("KOMPENSA_REPLICA_POD", "{"),
        ("KOMPENSA_REPLICA_POD", '["registry"]'),
        ("KOMPENSA_REPLICA_POD", '{"nodeSelectors": {}}'),
        ("KOMPENSA_REPLICA_POD", '{"imagePullSecrets": ["registry"]}'),
        ("KOMPENSA_REPLICA_POD", '{"tolerations": [{"tolerationSeconds": "30"}]}'),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettingError, match=name):
        OperatorSettings.from_environment(LEAST | {name: value})
