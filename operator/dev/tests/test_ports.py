"""Ports: the wanted one, or another and a word about it."""

import socket

from kompensa_dev.options import choose_ports, wanted_ports
from kompensa_dev.ports import HOST, Ports, is_free


def test_a_taken_port_is_replaced_and_told() -> None:
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        holder.listen()
        taken = holder.getsockname()[1]
        ports = Ports()
        other = ports.take("api", taken)
        assert other != taken
        assert ports.moved == {"api": (taken, other)}


def test_a_port_is_given_out_once() -> None:
    ports = Ports()
    first = ports.take("a")
    assert is_free(first)
    assert ports.take("b", first) != first


def test_the_local_stack_wants_the_ports_that_the_cluster_publishes() -> None:
    wanted = wanted_ports()
    assert wanted.api_url == "http://127.0.0.1:18080"
    assert wanted.urls["shipping"] == "http://127.0.0.1:18085"
    assert wanted.connect == 18087
    assert wanted.bootstrap == "127.0.0.1:19092"


def test_tests_get_any_free_ports() -> None:
    ports = Ports()
    chosen = choose_ports(ports, None)
    every = [chosen.api, chosen.connect, chosen.kafka, *chosen.services.values()]
    assert len(set(every)) == len(every)
    assert not ports.moved
