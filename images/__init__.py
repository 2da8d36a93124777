"""How every container image, the kind node included, is built, and how the cluster comes up.

Run as `python3 -m images VERB` from the checkout. Standard library only, because it runs before anything is
installed; the price is plain subprocess calls to the tools (podman, kind, helm, uv, mvn, go) instead of their APIs.
"""
