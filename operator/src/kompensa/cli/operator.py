"""`kompensa operator`: the Kubernetes operator."""


def operator() -> None:
    """Run the operator until SIGTERM; settings come from KOMPENSA_* variables (see the chart)."""
    from kompensa.handlers.main import run
    from kompensa.handlers.settings import OperatorSettings

    run(OperatorSettings.from_environment())
