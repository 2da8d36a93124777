"""Kafka and Connect: the addresses that clients get, and the files from which a connector reads its login."""

from charts.tests.rendering import Helm, Object, Rendering

EXTERNAL = {"kafka": {"external": {"enabled": True, "host": "127.0.0.1", "port": 19092, "nodePort": 30092}}}


def properties(rendering: Rendering, name: str, file: str) -> dict[str, str]:
    lines = rendering.one("ConfigMap", name)["data"][file].splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def broker(helm: Helm, values: Object) -> dict[str, str]:
    return properties(helm.render("backbone", values), "backbone-kafka", "server.properties")


def test_pods_are_told_the_brokers_service(helm: Helm) -> None:
    assert broker(helm, {})["advertised.listeners"] == "INTERNAL://backbone-kafka.kompensa-system.svc:9092"


def test_clients_outside_are_told_an_address_that_they_can_reach(helm: Helm) -> None:
    told = broker(helm, EXTERNAL)["advertised.listeners"].split(",")
    assert told[1] == "EXTERNAL://127.0.0.1:19092"
    (port,) = helm.render("backbone", EXTERNAL).one("Service", "backbone-kafka-external")["spec"]["ports"]
    assert (port["nodePort"], port["targetPort"]) == (30092, "external")


def test_every_internal_topic_fits_one_node(helm: Helm) -> None:
    settings = broker(helm, {})
    factors = {name: value for name, value in settings.items() if name.endswith(("replication.factor", "min.isr"))}
    assert len(factors) == 6
    assert set(factors.values()) == {"1"}
    assert settings["auto.create.topics.enable"] == "false"


def test_a_changed_setting_restarts_the_broker_and_nothing_else(helm: Helm) -> None:
    before = helm.render("backbone").documents()
    after = helm.render("backbone", {"kafka": {"settings": {"log.retention.hours": 24}}}).documents()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"ConfigMap/backbone-kafka", "StatefulSet/backbone-kafka"}


def test_the_storage_is_formatted_once_under_an_id_that_stays(helm: Helm) -> None:
    def cluster_id(namespace: str) -> str:
        pod = helm.render("backbone", namespace=namespace).pod("StatefulSet", "backbone-kafka")
        arguments: list[str] = pod.spec["initContainers"][0]["args"]
        assert "--ignore-formatted" in arguments
        return next(word.partition("=")[2] for word in arguments if word.startswith("--cluster-id"))

    assert len(cluster_id("kompensa-system")) == 22
    assert cluster_id("kompensa-system") != cluster_id("elsewhere")


def test_a_connector_reads_its_login_from_the_mounted_secret_and_nothing_else(helm: Helm) -> None:
    backbone = helm.render("backbone")
    worker = properties(backbone, "backbone-connect", "worker.properties")
    pod = backbone.pod("Deployment", "backbone-connect")
    mounts = {mount["name"]: mount["mountPath"] for mount in pod.containers[0]["volumeMounts"]}
    volume = next(volume for volume in pod.spec["volumes"] if volume["name"] == "capture")
    assert worker["config.providers.directory.param.allowed.paths"] == mounts["capture"] == "/etc/kompensa/capture"
    assert volume["secret"]["secretName"] == "kompensa-capture-credentials"


def test_the_operator_is_told_the_same_names(helm: Helm) -> None:
    operator = helm.render("kompensa").pod("Deployment", "kompensa-operator").environment()
    backbone = helm.render("backbone")
    worker = properties(backbone, "backbone-connect", "worker.properties")
    assert operator["KOMPENSA_KAFKA"]["value"] == worker["bootstrap.servers"]
    assert operator["KOMPENSA_CONNECT_URL"]["value"] == "http://backbone-connect.kompensa-system.svc:8083"
    assert backbone.has("Secret", operator["KOMPENSA_CAPTURE_SECRET"]["value"])
    name, _, value = operator["KOMPENSA_CONNECT_POD_SELECTOR"]["value"].partition("=")
    assert backbone.pod("Deployment", "backbone-connect").labels[name] == value


def test_a_kafka_of_the_users_serves_connect(helm: Helm) -> None:
    backbone = helm.render("backbone", {"kafka": {"enabled": False, "bootstrap": "kafka.crm:9092"}})
    assert not backbone.of("StatefulSet", "PersistentVolumeClaim")
    worker = properties(backbone, "backbone-connect", "worker.properties")
    assert worker["bootstrap.servers"] == "kafka.crm:9092"
    assert worker["offset.storage.replication.factor"] == "-1"


def test_the_heap_leaves_room_below_the_limit(helm: Helm) -> None:
    for pod in helm.render("backbone").pods():
        if pod.serving:
            container = pod.spec["containers"][0]
            heap = next(int(word[4:-1]) for word in container["args"] if word.startswith("-Xmx"))
            limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
            assert heap <= limit / 2, pod.name
