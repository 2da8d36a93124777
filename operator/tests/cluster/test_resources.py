from kompensa.cluster.resources import DEPLOYMENTS, SAGAS, SECRETS


def test_paths_of_core_and_grouped_kinds() -> None:
    assert SECRETS.path("shop", "orders") == "/api/v1/namespaces/shop/secrets/orders"
    assert DEPLOYMENTS.path("shop") == "/apis/apps/v1/namespaces/shop/deployments"
    assert SAGAS.path(None) == "/apis/kompensa.dev/v1alpha1/sagas"
    assert SAGAS.path("shop", "a", "status") == "/apis/kompensa.dev/v1alpha1/namespaces/shop/sagas/a/status"


def test_a_name_cannot_leave_its_place_in_the_path() -> None:
    assert SAGAS.path("shop", "../secrets/x") == "/apis/kompensa.dev/v1alpha1/namespaces/shop/sagas/..%2Fsecrets%2Fx"
