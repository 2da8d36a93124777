"""How the engine calls participants: client, proxy and certificates, by the variables that the engine itself reads."""

import os
from typing import Any

import pytest

from charts.tests.rendering import Helm, Object, Pod, RefusedError
from kompensa.engine.settings import Settings
from kompensa.transport.clients import ClientOptions

DEFAULT = ClientOptions()


def engine(helm: Helm, **values: Any) -> Pod:
    return helm.render("kompensa", {"engine": values}).pod("Deployment", "kompensa-engine")


def own(name: str, **keys: str) -> Object:
    return {"existingSecret": {"name": name, "keys": keys}}


def secrets(pod: Pod) -> dict[str, Object]:
    """The variables that come from Secrets, except those of the journal and the API."""
    variables = {name: entry.get("valueFrom", {}).get("secretKeyRef") for name, entry in pod.environment().items()}
    return {name: key for name, key in variables.items() if key and name.endswith("_PROXY")}


def plain(pod: Pod) -> dict[str, str]:
    return {name: entry["value"] for name, entry in pod.environment().items() if "value" in entry}


@pytest.fixture
def understood(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The options that the engine would read, as if all files were mounted."""
    monkeypatch.setattr(os, "access", lambda *_: True)

    def read(pod: Pod) -> ClientOptions:
        return Settings.read({**plain(pod), "KOMPENSA_JOURNAL_URL": "postgresql://there"}).http

    return read


def test_by_default_the_fast_client_calls_without_a_proxy(helm: Helm, understood: Any) -> None:
    pod = engine(helm)
    assert understood(pod) == DEFAULT
    assert not [name for name in pod.environment() if name.endswith("_PROXY")]


def test_the_client_can_be_chosen(helm: Helm, understood: Any) -> None:
    assert understood(engine(helm, httpClient="aiohttp")) == ClientOptions(client="aiohttp")


def test_a_proxy_is_used_except_inside_the_cluster(helm: Helm, understood: Any) -> None:
    pod = engine(helm, proxy={"https": "http://proxy.example:3128"})
    variables = plain(pod)
    assert understood(pod).proxies
    assert variables["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert variables["NO_PROXY"].split(",") == ["localhost", "127.0.0.1", ".svc", ".cluster.local"]
    assert "HTTP_PROXY" not in variables


def test_a_proxy_with_a_password_comes_from_a_secret(helm: Helm, understood: Any) -> None:
    pod = engine(helm, proxy=own("egress", http="", https="url"))
    assert understood(pod).proxies
    assert secrets(pod) == {"HTTPS_PROXY": {"name": "egress", "key": "url"}}


def test_a_proxy_comes_from_one_place(helm: Helm) -> None:
    with pytest.raises(RefusedError, match=r"engine\.proxy .* Secret egress"):
        engine(helm, proxy={"http": "http://proxy.example:3128", **own("egress")})


@pytest.mark.parametrize("url", ["proxy.example:3128", "socks5://proxy.example", "http://proxy.example/path"])
def test_a_proxy_that_is_not_an_http_url_is_rejected(helm: Helm, url: str) -> None:
    with pytest.raises(RefusedError, match="proxy"):
        engine(helm, proxy={"https": url})


def test_a_client_certificate_is_mounted_where_the_engine_reads_it(helm: Helm, understood: Any) -> None:
    pod = engine(helm, clientCertificate=own("engine-client", certificate="chain.pem"))
    volume = next(each["secret"] for each in pod.spec["volumes"] if each["name"] == "client-certificate")
    mount = next(each for each in pod.containers[0]["volumeMounts"] if each["name"] == "client-certificate")
    assert volume["secretName"] == "engine-client"
    assert mount["readOnly"] is True
    files = {each["key"]: f"{mount['mountPath']}/{each['path']}" for each in volume["items"]}
    options = understood(pod)
    assert files == {"chain.pem": options.certificate_file, "tls.key": options.key_file}


def test_an_authority_is_mounted_where_the_engine_reads_it(helm: Helm, understood: Any) -> None:
    pod = helm.render("kompensa", {"caBundle": {"configMap": "our-authorities"}}).pod("Deployment", "kompensa-engine")
    mount = next(each for each in pod.containers[0]["volumeMounts"] if each["name"] == "ca")
    assert understood(pod).ca_file == f"{mount['mountPath']}/ca.crt"


def test_only_the_engine_gets_them(helm: Helm) -> None:
    values = {"proxy": own("egress"), "clientCertificate": own("engine-client")}
    operator = helm.render("kompensa", {"engine": values}).pod("Deployment", "kompensa-operator")
    assert not secrets(operator)
    assert "client-certificate" not in [volume["name"] for volume in operator.spec["volumes"]]
